"""Run in the environment of image 2.2, as the bench's programs that train."""

from tests.spark.conftest import spark as spark
