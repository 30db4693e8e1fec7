"""`python -m src.cli`: what `flask up` does, without loading the application for it first."""

from src.cli.processes import up

if __name__ == "__main__":
    up()
