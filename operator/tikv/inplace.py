"""What of a newly rendered pod a running one can take over; see `instance.inplace`."""

from tikv_operator.instance.inplace import can_take_over, frozen_differences, metadata_changes

__all__ = ["can_take_over", "frozen_differences", "metadata_changes"]
