"""How the dashboard looks: display options, characters, columns, themes and stylesheets. Imports no widget and no screen."""
