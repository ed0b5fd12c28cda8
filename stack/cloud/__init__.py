"""The way into Yandex Cloud and out of it: bootstrap, destroy, cost."""
