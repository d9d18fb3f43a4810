"""The image of the workers: built, tagged, pushed."""
