from .bank import Bank
from .header import BankHeader, Quantisation, create_bank, is_bank, read_header
from .info import bank_info
from .merge import merge_banks
from .part import Part
from .parts import create_part, open_part, parts_of
from .plan import PartPlan, SliceKey, SlicePlace, slice_key, slice_place
from .quantise import to_half
from .verify import verify_bank

__all__ = [
    "Bank",
    "BankHeader",
    "Part",
    "PartPlan",
    "Quantisation",
    "SliceKey",
    "SlicePlace",
    "bank_info",
    "create_bank",
    "create_part",
    "is_bank",
    "merge_banks",
    "open_part",
    "parts_of",
    "read_header",
    "slice_key",
    "slice_place",
    "to_half",
    "verify_bank",
]
