"""Yandex Cloud's API on one machine: see README.md."""
