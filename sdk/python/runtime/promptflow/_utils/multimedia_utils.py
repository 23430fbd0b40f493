"""Images, as flows make them by hand."""

from pathlib import Path

from weir_python import images

MIME_PATTERN = images.MIME_PATTERN


class ImageProcessor:
    is_url = staticmethod(images.is_url)
    is_base64 = staticmethod(images.is_base64)

    @staticmethod
    def get_extension_from_mime_type(mime_type):
        ending = mime_type.split("/")[-1]
        return None if ending == "*" else ending

    @staticmethod
    def create_image_from_file(f: Path, mime_type=None):
        return images.from_file(f, mime_type)

    @staticmethod
    def create_image_from_base64(base64_str, mime_type=None):
        return images.from_base64(base64_str, mime_type)

    @staticmethod
    def create_image_from_url(url, mime_type=None):
        return images.from_url(url, mime_type)

    @staticmethod
    def create_image_from_string(value):
        return images.to_image(value)


def create_image(value):
    return images.to_image(value)


def load_multimedia_data_recursively(value):
    return images.revive(value)
