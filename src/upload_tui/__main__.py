"""Run `upload-tui` as `python -m upload_tui`."""

from upload_tui.cli import main

if __name__ == "__main__":
    main()
