from typing import Any, Dict, List, Union

from promptflow.core import tool


@tool
def kinds(
    text: str,
    number: int,
    ratio: float,
    flag: bool,
    items: list,
    map: dict,
    literal_number: int,
    literal_ratio: float,
    literal_flag: bool,
    literal_list: List[Any],
    literal_map: Dict[str, Any],
    literal_list_yaml: list,
    default: Union[str, int] = "none",
):
    return {name: [type(value).__name__, value] for name, value in locals().items()}
