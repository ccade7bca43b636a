"""Hand model: joints, rotations, the open-hand template, MANO and kinematics."""
