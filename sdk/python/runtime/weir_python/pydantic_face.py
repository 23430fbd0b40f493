"""The face of pydantic 2 on pydantic 1.10.

The core of version 2 is native code; version 1 is pure Python, and still kept up. Where a flow asks for pydantic and
nothing else that it uses needs version 2, it gets version 1 with the names of version 2 on it: `model_validate`,
`model_dump`, `model_config`, `field_validator`, `model_validator`, `TypeAdapter` and so on. What differs: a field of type
`Optional` is none where it is not given, values are made to fit more readily, and errors have version 1's words.
"""

from __future__ import annotations

import json
from typing import Any

#: How version 1 calls what `model_config` says.
_CONFIG = {
    "populate_by_name": "allow_population_by_field_name",
    "from_attributes": "orm_mode",
    "str_strip_whitespace": "anystr_strip_whitespace",
    "str_to_lower": "anystr_lower",
    "str_max_length": "max_anystr_length",
    "str_min_length": "min_anystr_length",
    "json_schema_extra": "schema_extra",
    "validate_default": "validate_all",
    "ignored_types": "keep_untouched",
}

#: Put at the end of pydantic's own `__init__`.
APPENDED = "\nfrom weir_python.pydantic_face import dress as _dress\n_dress(globals())\n"


def dress(names: dict[str, Any]) -> None:
    """Adds the names of version 2 to those of the module."""
    if not str(names["VERSION"]).startswith("1."):
        return
    model = _base_model(names["BaseModel"])
    names.update(
        BaseModel=model,
        ConfigDict=dict,
        Field=_field(names["Field"]),
        TypeAdapter=_type_adapter(names),
        computed_field=lambda function=None, **_: function if function is not None else (lambda inner: inner),
        field_serializer=lambda *_, **__: lambda function: function,
        model_serializer=lambda *_, **__: lambda function: function,
        field_validator=_field_validator(names["validator"]),
        model_validator=_model_validator(names["root_validator"]),
        AliasChoices=lambda first, *_: first,
    )


def _base_model(one: type) -> type:
    class Meta(type(one)):
        """Reads `model_config` as version 1's class `Config`."""

        def __new__(mcs, name, bases, namespace, **kwargs):
            said = namespace.pop("model_config", None)
            namespace.get("__annotations__", {}).pop("model_config", None)
            if said and "Config" not in namespace:
                config = {_CONFIG.get(key, key): value for key, value in dict(said).items()}
                namespace["Config"] = type("Config", (), config)
            return super().__new__(mcs, name, bases, namespace, **kwargs)

    class BaseModel(one, metaclass=Meta):
        def model_dump(self, *, mode="python", include=None, exclude=None, by_alias=False, **given):
            known = {
                name: given[name] for name in ("exclude_unset", "exclude_defaults", "exclude_none") if name in given
            }
            if mode == "json":
                return json.loads(self.json(include=include, exclude=exclude, by_alias=by_alias, **known))
            return self.dict(include=include, exclude=exclude, by_alias=by_alias, **known)

        def model_dump_json(self, *, indent=None, include=None, exclude=None, by_alias=False, **given):
            known = {
                name: given[name] for name in ("exclude_unset", "exclude_defaults", "exclude_none") if name in given
            }
            how = {"indent": indent} if indent else {"separators": (",", ":")}
            return self.json(include=include, exclude=exclude, by_alias=by_alias, ensure_ascii=False, **known, **how)

        def model_copy(self, *, update=None, deep=False):
            return self.copy(update=update, deep=deep)

        @property
        def model_fields_set(self):
            return self.__fields_set__

        @property
        def model_extra(self):
            return {name: value for name, value in self.__dict__.items() if name not in self.__fields__}

        @classmethod
        def model_validate(cls, value, **_):
            if cls.__config__.orm_mode and not isinstance(value, (dict, cls)):
                return cls.from_orm(value)
            return cls.parse_obj(value)

        @classmethod
        def model_validate_json(cls, text, **_):
            return cls.parse_raw(text)

        @classmethod
        def model_construct(cls, _fields_set=None, **values):
            return cls.construct(_fields_set, **values)

        @classmethod
        def model_json_schema(cls, by_alias=True, **_):
            return cls.schema(by_alias=by_alias)

        @classmethod
        def model_rebuild(cls, **_):
            cls.update_forward_refs()

    BaseModel.model_fields = property(lambda self: self.__fields__)
    return BaseModel


def _field(one: Any) -> Any:
    def Field(default=..., **given):
        if "pattern" in given:
            given["regex"] = given.pop("pattern")
        for new, old in (("min_length", "min_items"), ("max_length", "max_items")):
            if new in given and isinstance(default, list):
                given[old] = given.pop(new)
        for dropped in ("validation_alias", "serialization_alias", "json_schema_extra", "validate_default", "strict"):
            given.pop(dropped, None)
        if "default_factory" in given:
            return one(**given)
        return one(default, **given)

    return Field


def _field_validator(one: Any) -> Any:
    def field_validator(*fields, mode="after", **_):
        return one(*fields, pre=mode in ("before", "plain"), allow_reuse=True)

    return field_validator


def _model_validator(one: Any) -> Any:
    def model_validator(*, mode):
        if mode == "before":
            return one(pre=True, allow_reuse=True)

        def decorate(function):
            def after(cls, values):
                checked = function(cls.construct(**values))
                return checked.__dict__ if checked is not None else values

            return one(skip_on_failure=True, allow_reuse=True)(after)

        return decorate

    return model_validator


def _type_adapter(names: dict[str, Any]) -> type:
    class TypeAdapter:
        def __init__(self, kind: Any, **_: Any):
            self._kind = kind

        def validate_python(self, value: Any, **_: Any) -> Any:
            return names["parse_obj_as"](self._kind, value)

        def validate_json(self, text: Any, **_: Any) -> Any:
            return names["parse_raw_as"](self._kind, text)

        def dump_json(self, value: Any, *, indent: int | None = None, **_: Any) -> bytes:
            from pydantic.json import pydantic_encoder

            return json.dumps(value, indent=indent, default=pydantic_encoder, ensure_ascii=False).encode()

        def dump_python(self, value: Any, **_: Any) -> Any:
            return json.loads(self.dump_json(value))

        def json_schema(self, **_: Any) -> dict[str, Any]:
            return names["schema_of"](self._kind)

    return TypeAdapter
