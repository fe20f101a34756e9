"""Training: a loop that any codec or task network can use (``loop``), and pictures to train on (``data``)."""
