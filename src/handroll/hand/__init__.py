"""The hand itself: joints, rotations, the open-hand template and its kinematics."""
