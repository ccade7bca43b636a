"""HaMeR as one torch module: crops of right hands in, MANO's parameters out. It has no branches on data, so it compiles to one graph.

Axis letters: B crops; Y, X pixel rows and columns (256, 192).
"""

import torch
from torch import nn

from handroll.device import torch_device
from handroll.pose.hamer.backbone import Backbone, backbone_state, typed_backbone
from handroll.pose.hamer.head import Head, head_state
from handroll.pose.hamer.settings import read_settings
from handroll.pose.hamer.weights_cache import compact_checkpoint


class HamerNetwork(nn.Module):
    """HaMeR for inference only, without gradients.

    Parameters
    ----------
    state : dict of str to tensor
        `backbone.*` and `mano_head.*` with the released names and shapes; tensors that already have the right type are not copied.
    settings : settings.HamerSettings
    dtype : torch.dtype
        Of the backbone's matrices, float32 or bfloat16. Its norms and sums, the head and the rotations are float32.
    checkpoint_sha256 : str, optional
        Of the file that the state was read from, for provenance.
    """

    def __init__(self, state, settings, dtype=torch.float32, checkpoint_sha256=None):
        super().__init__()
        self.settings = settings
        self.checkpoint_sha256 = checkpoint_sha256
        # On "meta" nothing is allocated: the state's own tensors become the parameters.
        with torch.device("meta"):
            self.backbone = Backbone(settings.backbone)
            self.head = Head(settings.decoder)
        with torch.no_grad():
            self.backbone.load_state_dict(backbone_state(typed_backbone(state, dtype)), assign=True)
            self.head.load_state_dict(head_state(state, settings.decoder), assign=True)
        for name in ("mean", "std"):
            levels = 255.0 * torch.tensor(getattr(settings, f"image_{name}"), dtype=torch.float64)
            self.register_buffer(name, levels.float())
        self.requires_grad_(False).eval()

    @classmethod
    def from_files(cls, checkpoint, config, dtype=torch.float32, device="cpu"):
        """Load the released files.

        Parameters
        ----------
        checkpoint : path of hamer.ckpt
        config : path of model_config.yaml
        dtype : torch.dtype
            Of the backbone's matrices, float32 or bfloat16.
        device : str
            See `handroll.device`.

        Raises
        ------
        settings.HamerError
            A file is missing or is not the required one.
        handroll.device.DeviceError
            The device is not available.
        """
        device = torch_device(device)
        settings = read_settings(config)
        compact = compact_checkpoint(checkpoint, settings, dtype)
        return cls(compact.state, settings, dtype, compact.sha256).to(device)

    def forward(self, crops):
        """Predict the hands in crops.

        Parameters
        ----------
        crops : uint8 or float32 tensor (B, Y, X, 3), or float32 tensor (B, 3, Y, X)
            RGB, of right hands or mirrored left ones, on the network's device. With the channels last, 0..255 as `crops.crop` returns
            them. With the channels first, already normalised.

        Returns
        -------
        head.HandParameters
        """
        images = self.normalise(crops) if crops.shape[-1] == 3 else crops
        return self.head(self.backbone(images))

    def normalise(self, crops):
        """Normalise crops for the backbone: (B, Y, X, 3), RGB, 0..255, to float32 (B, 3, Y, X) with 0 for the mean colour."""
        return ((crops.float() - self.mean) / self.std).permute(0, 3, 1, 2)
