"""Module `files`: every file, directory and link of one topic, in one step."""

import os
import shlex
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_bytes, to_native

DOCUMENTATION = """
module: files
short_description: Puts files, directories and links where they belong, all of them in one step
description:
  - What C(copy), C(template), C(file) do one by one, for a list; each of those asks the machine two to four times.
  - Nothing is written unless all that is new is valid.
options:
  entries:
    description: In the order in which they are made. Each has one of content, directory, link and absent.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where.
        type: path
        required: true
      content:
        description: Text of a file, as a lookup gives it.
        type: str
      directory:
        description: It is a directory.
        type: bool
        default: false
      link:
        description: It is a link to this.
        type: str
      absent:
        description: There is no such file.
        type: bool
        default: false
      owner:
        description: User.
        type: str
        default: root
      group:
        description: Group.
        type: str
        default: root
      mode:
        description: In octal digits. Needed for files and directories.
        type: str
      validate:
        description: Command that refuses a bad file; C(%s) stands for it.
        type: str
"""

EXAMPLES = """
- name: Settings of ssh
  files:
    entries:
      - {path: /etc/ssh/ssh_host_rsa_key, absent: true}
      - path: /etc/ssh/sshd_config
        content: "{{ lookup('ansible.builtin.template', 'sshd_config.j2') }}"
        mode: "0600"
        validate: /usr/sbin/sshd -t -f %s
  notify: Reload ssh
"""

RETURN = """
paths:
  description: What was changed.
  type: list
  elements: str
  returned: always
"""

ENTRY = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str"},
    "directory": {"type": "bool", "default": False},
    "link": {"type": "str"},
    "absent": {"type": "bool", "default": False},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str"},
    "validate": {"type": "str"},
}


def content_of(path):
    """Bytes of a plain file; None if there is none."""
    if os.path.islink(path) or not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        return file.read()


class Entry:
    """One entry of the list, and what is at its place."""

    def __init__(self, module, given):
        self.module, self.given, self.path = module, given, given["path"]
        kinds = [kind for kind in ("content", "link") if given[kind] is not None]
        kinds += [kind for kind in ("directory", "absent") if given[kind]]
        if len(kinds) != 1:
            module.fail_json(msg=f"{self.path} has {kinds}, expected is one of content, directory, link, absent")
        (self.kind,) = kinds
        if self.kind in ("content", "directory") and not given["mode"]:
            module.fail_json(msg=f"{self.path} has no mode; give one, such as '0644'")
        self.new, self.temporary = None, None
        if self.kind == "content":
            self.old, wanted = content_of(self.path), to_bytes(given["content"])
            self.new = wanted if wanted != self.old else None

    def check(self):
        """Writes what is new into a file of its own and refuses it if it is not valid."""
        if self.new is None:
            return
        handle, self.temporary = tempfile.mkstemp(dir=self.module.tmpdir)
        with os.fdopen(handle, "wb") as file:
            file.write(self.new)
        if validate := self.given["validate"]:
            command = shlex.split(validate.replace("%s", shlex.quote(self.temporary)))
            status, output, errors = self.module.run_command(command)
            if status:
                self.module.fail_json(
                    msg=f"the new {self.path} is not valid, nothing was written: `{validate}` ended with {status}: "
                    f"{(errors or output).strip()}"
                )

    def put(self):
        """Whether something was changed (or, in a dry run, would be)."""
        return getattr(self, f"put_{self.kind}")()

    def put_content(self):
        if self.new is None:
            return self.attributes()
        if not self.module.check_mode:
            if os.path.isdir(self.path):
                self.module.fail_json(msg=f"{self.path} is a directory, expected is a file: look at it, then remove it")
            self.module.atomic_move(self.temporary, os.path.realpath(self.path))
            self.attributes()
        return True

    def put_directory(self):
        if os.path.isdir(self.path):
            return self.attributes()
        if not self.module.check_mode:
            os.makedirs(self.path)
            self.attributes()
        return True

    def put_link(self):
        if os.path.islink(self.path) and os.readlink(self.path) == self.given["link"]:
            return False
        if not self.module.check_mode:
            if os.path.isdir(self.path) and not os.path.islink(self.path):
                os.rmdir(self.path)
            beside = f"{self.path}.{os.getpid()}"
            os.symlink(self.given["link"], beside)
            os.rename(beside, self.path)
        return True

    def put_absent(self):
        if not os.path.lexists(self.path):
            return False
        if not self.module.check_mode:
            os.unlink(self.path)
        return True

    def attributes(self):
        wanted = {name: self.given[name] for name in ("path", "owner", "group", "mode")}
        wanted.update(secontext=[None, None, None], attributes=None)
        return self.module.set_fs_attributes_if_different(wanted, False)

    def difference(self):
        before, after = (to_native(text or b"", errors="replace") for text in (self.old, self.new))
        return {"before_header": self.path, "after_header": self.path, "before": before, "after": after}


def main():
    argument_spec = {"entries": {"type": "list", "elements": "dict", "required": True, "options": ENTRY}}
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=True)
    entries = [Entry(module, given) for given in module.params["entries"]]
    for entry in entries:
        entry.check()
    paths = [entry.path for entry in entries if entry.put()]
    differences = [entry.difference() for entry in entries if entry.new is not None]
    module.exit_json(changed=bool(paths), paths=paths, diff=differences)


if __name__ == "__main__":
    main()
