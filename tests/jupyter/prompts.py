"""Forty prompts as people type them, full of braces that are no fields: each is to be sent as it is.

Every name in them is a variable of the notebook when they are (see `every_name`).
"""

from __future__ import annotations

import re

UNHARMED = {
    # -- Python
    "f-string in prose": 'Why does print(f"Hello {name}!") raise a NameError?',
    "f-string alone": "What does f'{total:.2f} of {count}' mean, and rf\"{path}\\d{n}\"?",
    "f-string, triple": 'Shorten it: f"""Dear {name},\nyour order {order} is late."""',
    "function without a fence": "def f(x): return {x}\n\n"
    "def greet(name):\n    seen = {name}\n    return {name}\n\nWhat does it return?",
    "set literals": "x = {name}\nprint({x})\nrows = [\n    {x},\n    {name}\n]\nwhat is the type of x?",
    "loop over a set": "Is this fast?\n\nfor item in {name}:\n    {item}\n    print(item)",
    "format method": 'Rewrite "Hello {name}, you are {age}".format(name=name, age=age) as an f-string.',
    "logging": 'logger.info("user {user} did {action}")\nWhy are the braces not replaced?',
    "template constant": 'TEMPLATE = """\nDear {name},\n{body}\n"""\nWhat is missing?',
    "console": ">>> {name}\n{'Ada'}\nWhat is this?",
    "dict comprehension": "Explain {key: value for key, value in {pairs}} to me.",
    "fence": "Fix this:\n```python\nprint({name})\nreturn {x}\n```\nThanks.",
    "fence with tildes": "~~~\nDear {name},\n```\n{body}\n~~~",
    "fence without an end": "Go on with this:\n```\nDear {name},\n\n{body}",
    "backtick spans": "In `{name}`, `hello {name} there` and ``a ` {name}`` the name is a placeholder.",
    # -- JSON and its kin
    "JSON": 'Turn {"name": "Ada", "tags": {"a": {name}}, "age": 36} into YAML.',
    "JSON over lines": '{\n  "user": {\n    "id": {id},\n    "name": "{name}"\n  }\n}\nWhat is wrong with it?',
    "JSON Schema": 'Answer as {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}.',
    "URL template": "Document GET /users/{id}/posts/{post_id}?page={page} and https://{host}/api.",
    "GraphQL": "query {\n  user(id: 7) {\n    name\n    friends { {name} }\n  }\n}",
    # -- LaTeX
    "LaTeX commands": r"Simplify \frac{a}{b} + \sqrt[3]{x} and \textbf{name} {b} in \frac {a} {b}.",
    "LaTeX formula": r"Prove $\sum_{i=1}^{n} {x} = x_{n}$ and $$e^{x} = {y}$$ by induction.",
    "LaTeX environment": "\\begin{align}\na &= {b} \\\\\nc &= {d}\n\\end{align}\nWhat is c?",
    "LaTeX brackets": r"Is \( {n} \) more than \[ {m} \] and \{name\}?",
    "subscripts without dollars": "Let x_{n} be a_{i,j}^{k} and {n}^2 be odd. BibTeX: @book{key, title={title}}.",
    # -- TypeScript, JavaScript and JSX
    "TypeScript": "function hello({ name }: Props): string {\n\n  return {name};\n}\nAdd types.",
    "import and export": 'import {useState} from "react";\nexport {name};\nconst {id, name} = x;\nconst {user} = y;',
    "arrow functions": "for (const {id} of items) f(id);\n"
    "What does items.map(({name}) => ({name})) return, and () => {name}?",
    "JSX": "<ul>\n  {items}\n</ul>\n"
    "const App = () => (\n  <div className={style}>\n    <p>Hello {name}!</p>\n    {children}\n  </div>\n);",
    "template literal": "const url = `https://${host}/users/${id}`; and why not ${name} in quotes?",
    "interface": "interface User {\n  name: string;\n  tags: {tag}[];\n}\nGive an example of {id: 7}.",
    # -- templates
    "Jinja": "Dear {{ name }}, {{name}}, {% if user %}{{ user.email }}{% endif %} {# {note} #}",
    "Vue, Go and Actions": '<p :key="{id}">{{ title }}</p> {{.Name}} {{ range .Items }}{{end}} ${{ secrets.TOKEN }}',
    "Ruby and shell": 'puts "Hello #{name}"; echo ${HOME}/{src,test} $(date) a{1..3} %{name} @{name}',
    # -- others
    "CSS": "body {color: red}\n.card:hover{color}\n@media print { a {display} }\nWhich rule wins?",
    "Rust": 'println!("{name} is {age:?}");\nuse std::{fs, io};\nlet p = Point {x, y};\nmatch p { Point {x, ..} => x }',
    "C++ and Java": "std::vector<int> v{n};\nint x = {n};\nint[] a = {n, m};\nclass A { int get() { return {n}; } };",
    "C#": 'var s = $"Hello {name}, {total}";\nstring.Format("{0} {name}", x);\npublic string Name { get; set; }',
    "regular expressions": r"What does ^[a-z]{n}\d{2,3}(\w{m})?$ match, and \p{name} or x{n}?",
    "lone braces": "Use { and } or {} or { } or {1} or {a b} or {a, b} or }{ and {name and name}; :-{ {}{} {!} {'a'}",
}


def every_name(text: str) -> set[str]:
    """Every word of a prompt that could be a variable."""
    return set(re.findall(r"[^\W\d]\w*", text))
