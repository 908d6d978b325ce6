"""A small local fake of the Hugging Face Hub (dataset repos only), standard library only.

Serves ROOT/<user>/<name>/...files... so that the unmodified `datasets` and `huggingface_hub` clients work
through HF_ENDPOINT (streaming, downloads, uploads, push_to_hub):

    with HubServer(root, Options(fault_rate=0.1)) as hub:
        hub.url

Markers inside a repo folder (never served): `.private` (needs the token) and `.gated` (needs it for contents).
Server state lives in ROOT/.hub/ (uploaded LFS objects, hard-linked old commits).

Not modelled: Xet, pull requests, tags, the dataset viewer. Uploads by push_to_hub and with `lfs_threshold` need
HF_HUB_DISABLE_XET=1 in the client's environment, which then uses LFS over HTTP.
"""

from .options import Options
from .server import HubServer

__all__ = ["HubServer", "Options"]
