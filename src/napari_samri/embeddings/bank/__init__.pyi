from .arrays import BankRow, to_half
from .bank import Bank
from .header import BankHeader, Quantisation, create_bank, is_bank, read_header
from .info import bank_info
from .known import KnownBanks, remember_bank
from .merge import merge_banks
from .part import Part, create_part, open_part, parts_of
from .plan import PartPlan, SlicePlace, slice_place
from .verify import verify_bank

__all__ = [
    "Bank",
    "BankHeader",
    "BankRow",
    "KnownBanks",
    "Part",
    "PartPlan",
    "Quantisation",
    "SlicePlace",
    "bank_info",
    "create_bank",
    "create_part",
    "is_bank",
    "merge_banks",
    "open_part",
    "parts_of",
    "read_header",
    "remember_bank",
    "slice_place",
    "to_half",
    "verify_bank",
]
