"""The `landmarks` engine: MANO-topology poses from the 21 detected landmarks alone, by least squares on the open hand.

Unknowns of a frame and hand: 3 for the wrist (pixel x, y and log depth), 3 for the palm's orientation, 45 anatomical
joint angles. Residuals: the projected landmarks against the detected ones, the priors of `priors` on angles and limits,
and relative heights of wrist, knuckles and tips along the camera's viewing axis, since the camera looks down at the keys.

What a single camera cannot see stays as it was assumed: the size of the hand (a larger hand farther away gives the same
picture, so `bone_scale` is 1 unless the hand's length is given), and, under HaMeR's focal length, depth in true metres.
"""

import logging

import numpy as np
import torch

from handroll.hand.kinematics import MIRROR, hand_joints, mirrored_pose
from handroll.hand.rotations import continuous, rotvec_from_matrix
from handroll.hand.skeleton import HANDS, JOINT_OF_LANDMARK, N_ROTATIONS
from handroll.hand.template import HAND_LENGTH_M, open_hand
from handroll.pose.articulation import BENDS, articulation, pose_landmarks
from handroll.pose.levenberg_marquardt import choose, minimise
from handroll.pose.priors import LIMIT_SIGMA_RAD, angle_limits, angle_prior, height_prior, landmark_offsets

VERSION = 1
"""Raised by hand when the same detections give other poses."""

BATCH = 2048
"""Hands fitted at once; about 60 MB of memory."""

ITERATIONS = 12

LANDMARK_SIGMA_M = 2.5e-3
"""Error of a detected landmark, metres on the hand: 4 px where the palm is 93 px (59 mm) wide."""

LOGGER = logging.getLogger("handroll")


class Problem:
    """The least-squares problem of a batch of right hands (a left one comes mirrored).

    Parameters
    ----------
    pixels : tensor (hand, 21, 2)
        Detected landmarks in MediaPipe's order, pixels from the principal point.
    focal_px : float
    model : Articulation
    up : array (3,)
        Unit vector away from the keys, camera frame.
    log_depth, log_depth_sigma : 
    """

    def __init__(self, pixels, focal_px, model, template, up, sigma_px, log_depth=None, log_depth_sigma=None):
        dtype = pixels.dtype
        tensor = lambda a: torch.as_tensor(a, dtype=dtype)
        self.pixels, self.focal, self.model = pixels, focal_px, model
        self.weight = 1.0 / sigma_px
        mean, precision = angle_prior()
        self.mean, self.precision = tensor(mean), tensor(precision)
        self.low, self.high = (tensor(a) for a in angle_limits(template))
        rows, height, sigma = height_prior()
        self.rows = torch.as_tensor(rows)
        inverse = 1.0 / sigma**2
        centring = np.eye(len(rows)) - inverse / inverse.sum()
        whiten = centring / sigma[:, None]
        self.heights = tensor(whiten @ height)
        self.height_map = tensor(whiten)
        self.up = tensor(up)
        self.log_depth, self.depth_weight = log_depth, None if log_depth is None else 1.0 / log_depth_sigma

    def evaluate(self, state):
        place, root, angles = state
        points, jac = pose_landmarks(self.model, root, angles)
        depth = place[:, 2].exp()[:, None]
        far = depth + points[..., 2]
        seen = (self.focal * points[..., :2] + (place[:, None, :2] * depth[..., None])) / far[..., None]
        J = pixels_jac = points.new_zeros(*seen.shape, 51)
        ratio = depth / far
        J[:, :, 0, 0] = ratio
        J[:, :, 1, 1] = ratio
        J[..., 2] = ratio[..., None] * (place[:, None, :2] - seen)
        J[..., 3:] = (self.focal * jac[:, :, :2] - seen[..., None] * jac[:, :, 2:]) / far[..., None, None]
        w = self.weight[:, None, None]
        r = ((seen - self.pixels) * w).flatten(1)
        J = (J * w[..., None]).flatten(1, 2)
        # heights
        h = points[:, self.rows] @ self.up
        hj = torch.einsum("hrxp,x->hrp", jac[:, self.rows], self.up)
        rh = h @ self.height_map.T - self.heights
        Jh = torch.nn.functional.pad(self.height_map @ hj, (3, 0))
        r = torch.cat([r, rh], 1)
        J = torch.cat([J, Jh], 1)
        H = J.transpose(1, 2) @ J
        g = (J.transpose(1, 2) @ r[..., None]).squeeze(-1)
        cost = 0.5 * (r * r).sum(1)
        # prior
        d = angles - self.mean
        pd = d @ self.precision
        over = (angles - self.high).clamp(min=0) + (angles - self.low).clamp(max=0)
        over = over / LIMIT_SIGMA_RAD
        cost = cost + 0.5 * (d * pd).sum(1) + 0.5 * (over * over).sum(1)
        g[:, 6:] += pd + over / LIMIT_SIGMA_RAD
        H[:, 6:, 6:] += self.precision + torch.diag_embed((over != 0).to(H.dtype) / LIMIT_SIGMA_RAD**2)
        if self.log_depth is not None:
            e = (place[:, 2] - self.log_depth) * self.depth_weight
            cost = cost + 0.5 * e * e
            g[:, 2] += e * self.depth_weight
            H[:, 2, 2] += self.depth_weight**2
        return cost, g, H


def retract(state, step):
    from handroll.pose.articulation import exponential
    place, root, angles = state
    return place + step[:, :3], exponential(step[:, 3:6])[0] @ root, angles + step[:, 6:]


def level_start(pixels, focal_px, model):
    mean, _ = angle_prior()
    level = torch.tensor([[0.0, 0, -1.0], [1.0, 0, 0], [0, -1.0, 0]]).T.to(pixels.dtype)
    # columns images of mano x,y,z: x->(0,1,0), y->(0,0,-1), z->(-1,0,0)
    level = torch.tensor([[0.0, 0, -1.0], [1.0, 0, 0], [0, -1.0, 0]]).to(pixels.dtype)
    pts, _ = pose_landmarks(model, level[None], torch.as_tensor(mean, dtype=pixels.dtype)[None])
    palm = [0, 1, 5, 9, 13, 17]
    a = torch.view_as_complex(pts[0, palm, :2].contiguous())
    b = torch.view_as_complex(pixels[:, palm].contiguous())
    am, bm = a.mean(), b.mean(1)
    s = ((a - am).conj() * (b - bm[:, None])).sum(1) / ((a - am).abs() ** 2).sum()
    scale = s.abs()
    w = bm - s * am
    c, sn = s.real / scale, s.imag / scale
    z = torch.zeros_like(c)
    o = torch.ones_like(c)
    rot = torch.stack([c, -sn, z, sn, c, z, z, z, o], -1).view(-1, 3, 3)
    place = torch.stack([w.real, w.imag, (focal_px / scale).log()], -1)
    return (place, rot @ level, torch.as_tensor(mean, dtype=pixels.dtype).expand(len(pixels), -1).clone())
