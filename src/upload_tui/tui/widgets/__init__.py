"""The dashboard's widgets. Each shows the data it gets and posts a message when the user acts; the screens decide what follows."""
