"""Answers as objects: attributes for what a class declares, and for whatever else the service has said."""

import json
import typing


class BaseModel:
    """An object of the service. A field that is declared and not said is None; `to_dict` has only what was said."""

    def __init__(self, **values):
        hints = _hints(type(self))
        self.__dict__["_set"] = list(values)
        for name in hints:
            if name not in values:
                self.__dict__[name] = getattr(type(self), name, None)
        for name, value in values.items():
            self.__dict__[name] = _made(hints.get(name), value)

    @classmethod
    def construct(cls, _fields_set=None, **values):
        return cls(**values)

    model_construct = construct

    @classmethod
    def model_validate(cls, value):
        return value if isinstance(value, cls) else cls(**value)

    def _names(self, exclude_unset):
        return [name for name in self.__dict__ if name != "_set" and (not exclude_unset or name in self._set)]

    def model_dump(self, *, mode="python", include=None, exclude=None, exclude_unset=False, exclude_none=False, **_):
        values = {
            name: _dumped(self.__dict__[name], exclude_unset, exclude_none) for name in self._ordered(exclude_unset)
        }
        if exclude_none:
            values = {name: value for name, value in values.items() if value is not None}
        if include is not None:
            values = {name: value for name, value in values.items() if name in include}
        if exclude is not None:
            values = {name: value for name, value in values.items() if name not in exclude}
        return values

    def _ordered(self, exclude_unset):
        """Declared fields in their order, then the others."""
        declared = list(_hints(type(self)))
        names = self._names(exclude_unset)
        return [name for name in declared if name in names] + [name for name in names if name not in declared]

    dict = model_dump

    def model_dump_json(self, *, indent=None, **kwargs):
        separators = None if indent else (",", ":")
        return json.dumps(self.model_dump(**kwargs), indent=indent, separators=separators, ensure_ascii=False)

    json = model_dump_json

    def to_dict(self, *, exclude_unset=True, exclude_none=False, **_):
        return self.model_dump(exclude_unset=exclude_unset, exclude_none=exclude_none)

    def to_json(self, *, indent=2, exclude_unset=True, **_):
        return json.dumps(self.to_dict(exclude_unset=exclude_unset), indent=indent, ensure_ascii=False)

    def model_copy(self, **_):
        return type(self)(**{name: self.__dict__[name] for name in self._set})

    copy = model_copy

    @property
    def model_extra(self):
        return {name: self.__dict__[name] for name in self._set if name not in _hints(type(self))}

    @property
    def model_fields_set(self):
        return set(self._set)

    def __setattr__(self, name, value):
        if name not in self._set:
            self._set.append(name)
        self.__dict__[name] = value

    def __eq__(self, other):
        return type(self) is type(other) and self.model_dump() == other.model_dump()

    def __iter__(self):
        return iter([(name, self.__dict__[name]) for name in self._ordered(False)])

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={self.__dict__[name]!r}' for name in self._ordered(False))})"

    def __str__(self):
        return repr(self)


_known = {}


def _hints(kind):
    if kind not in _known:
        hints = typing.get_type_hints(kind)
        _known[kind] = {name: hint for name, hint in hints.items() if not name.startswith("_")}
    return _known[kind]


def _made(hint, value):
    """A value of the class that a hint names, or what the service has said."""
    if isinstance(value, list):
        inner = typing.get_args(hint)[0] if typing.get_origin(hint) is list else None
        return [_made(inner, item) for item in value]
    if isinstance(value, dict):
        if isinstance(hint, type) and issubclass(hint, BaseModel):
            return hint(**value)
        # What no class declares, such as the content filter results of Azure, stays a dictionary, as in the original.
        return value
    return value


def _dumped(value, exclude_unset, exclude_none):
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=exclude_unset, exclude_none=exclude_none)
    if isinstance(value, list):
        return [_dumped(item, exclude_unset, exclude_none) for item in value]
    return value
