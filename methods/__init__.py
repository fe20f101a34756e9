"""Codecs, one file each; the registry finds them by their file names."""

import warnings

# CompressAI's dependencies script functions on import; what torch says of that is of no use to our users.
warnings.filterwarnings("ignore", message=".*torch.jit.script.*", category=FutureWarning)
