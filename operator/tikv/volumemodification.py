from tikv_operator.volume.modifier import VolumeModifier

__all__ = ["VolumeModifier"]
