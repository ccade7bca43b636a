"""HaMeR as one torch module, from crops of right hands to parameters of MANO.

The computation does not branch on data, so it compiles to one graph.

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
        Parameters `backbone.*` and `mano_head.*` with the released names and shapes. Tensors that already have the right type are not
        copied.
    settings : settings.HamerSettings
    dtype : torch.dtype
        Type of the backbone's matrices, float32 or bfloat16. The backbone's norms and sums, the head and the rotations are float32.
    checkpoint_sha256 : str, optional
        SHA-256 of the file from which the state was read, for provenance.
    """

    def __init__(self, state, settings, dtype=torch.float32, checkpoint_sha256=None):
        super().__init__()
        self.settings = settings
        self.checkpoint_sha256 = checkpoint_sha256
        # On the device "meta" no memory is allocated. The tensors of the state become the parameters.
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
        """Build the network from the released files.

        Parameters
        ----------
        checkpoint : path of hamer.ckpt
        config : path of model_config.yaml
        dtype : torch.dtype
            Type of the backbone's matrices, float32 or bfloat16.
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
            RGB crops of right hands or mirrored left hands, on the network's device. With the channels last: 0..255, as in the result
            of `crops.crop`. With the channels first: already normalised.

        Returns
        -------
        head.HandParameters
        """
        images = self.normalise(crops) if crops.shape[-1] == 3 else crops
        return self.head(self.backbone(images))

    def normalise(self, crops):
        """Normalise RGB crops (B, Y, X, 3), 0..255, to float32 (B, 3, Y, X), in which 0 is the mean colour of the training images."""
        return ((crops.float() - self.mean) / self.std).permute(0, 3, 1, 2)
