"""A provider `yandex` that stands in for the real one, where Terraform works on the local cloud."""
