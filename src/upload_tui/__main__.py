"""`python -m upload_tui` is `upload-tui`."""

from upload_tui.cli import main

if __name__ == "__main__":
    main()
