"""The names of pydantic 2 on pydantic 1."""

from typing import List, Optional

import pydantic
from weir_python import outputs, pydantic_face

from .case import Case

NAMES = dict(vars(pydantic))
pydantic_face.dress(NAMES)
BaseModel, Field, ConfigDict = NAMES["BaseModel"], NAMES["Field"], NAMES["ConfigDict"]
field_validator, model_validator = NAMES["field_validator"], NAMES["model_validator"]


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    count: int = Field(..., ge=1)
    label: str = Field("d", pattern="^d", alias="Label")
    tags: Optional[List[str]] = None

    @field_validator("count")
    @classmethod
    def not_seven(cls, value):
        if value == 7:
            raise ValueError("seven")
        return value

    @model_validator(mode="after")
    def not_eight(self):
        if self.count == 8:
            raise ValueError("eight")
        return self


class Models(Case):
    def test_a_model_is_read_and_written(self):
        item = Item.model_validate({"count": "3", "Label": "d1"})
        self.assertEqual(item.model_dump(), {"count": 3, "label": "d1", "tags": None})
        self.assertEqual(item.model_dump(by_alias=True, exclude_none=True), {"count": 3, "Label": "d1"})
        self.assertEqual(item.model_dump_json(exclude_unset=True), '{"count":3,"label":"d1"}')
        self.assertEqual(Item.model_validate_json('{"count": 2, "label": "d"}').model_fields_set, {"count", "label"})
        self.assertEqual(item.model_copy(update={"count": 5}).count, 5)
        self.assertEqual(Item.model_json_schema()["required"], ["count"])
        self.assertEqual(outputs.to_json({"item": item}), {"item": {"count": 3, "label": "d1", "tags": None}})

    def test_what_does_not_fit_is_told(self):
        for given, told in (
            ({"count": 0}, "greater than or equal to 1"),
            ({"count": 7}, "seven"),
            ({"count": 8}, "eight"),
            ({"count": 1, "other": 1}, "extra fields not permitted"),
            ({"count": 1, "label": "x"}, "does not match"),
        ):
            with self.assertRaises(pydantic.ValidationError) as raised:
                Item(**given)
            self.assertIn(told, raised.exception.errors()[0]["msg"])

    def test_a_type_that_is_no_model(self):
        adapter = NAMES["TypeAdapter"](List[int])
        self.assertEqual(
            (adapter.validate_python(["1"]), adapter.validate_json("[2]"), adapter.dump_json([3])), ([1], [2], b"[3]")
        )
