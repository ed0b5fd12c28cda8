"""What GitHub is asked, in GraphQL; tests validate each against its published schema."""

_PAGE = "pageInfo { hasNextPage endCursor }"
_LIMIT = "rateLimit { cost remaining resetAt }"

OWNER = f"""query Owner($owner: String!) {{
  {_LIMIT}
  repositoryOwner(login: $owner) {{ id login }}
}}"""

PROJECTS = f"""query Projects($owner: String!, $title: String!, $after: String) {{
  {_LIMIT}
  repositoryOwner(login: $owner) {{
    ... on ProjectV2Owner {{
      projectsV2(first: 50, after: $after, query: $title) {{ {_PAGE} nodes {{ id title url closed }} }}
    }}
  }}
}}"""

FIELDS = f"""query Fields($project: ID!, $after: String) {{
  {_LIMIT}
  node(id: $project) {{
    ... on ProjectV2 {{
      fields(first: 50, after: $after) {{
        {_PAGE}
        nodes {{
          ... on ProjectV2FieldCommon {{ id name dataType }}
          ... on ProjectV2SingleSelectField {{ options {{ id name }} }}
        }}
      }}
    }}
  }}
}}"""

ITEMS = f"""query Items($project: ID!, $after: String) {{
  {_LIMIT}
  node(id: $project) {{
    ... on ProjectV2 {{
      items(first: 50, after: $after) {{
        {_PAGE}
        nodes {{
          id
          content {{
            ... on Issue {{ id body }}
            ... on DraftIssue {{ id title body }}
          }}
          fieldValues(first: 50) {{
            nodes {{
              ... on ProjectV2ItemFieldSingleSelectValue {{
                name
                field {{ ... on ProjectV2FieldCommon {{ name }} }}
              }}
            }}
          }}
        }}
      }}
    }}
  }}
}}"""

REPOSITORY = f"""query Repository($owner: String!, $name: String!) {{
  {_LIMIT}
  repository(owner: $owner, name: $name) {{ id nameWithOwner hasIssuesEnabled }}
}}"""

ISSUES = f"""query Issues($repository: ID!, $after: String) {{
  {_LIMIT}
  node(id: $repository) {{
    ... on Repository {{
      issues(first: 50, after: $after, states: [OPEN, CLOSED]) {{
        {_PAGE}
        nodes {{ id number title body url state stateReason parent {{ id }} }}
      }}
    }}
  }}
}}"""

MAKE_PROJECT = """mutation MakeProject($owner: ID!, $title: String!, $repository: ID) {
  createProjectV2(input: {ownerId: $owner, title: $title, repositoryId: $repository}) { projectV2 { id url } }
}"""

MAKE_FIELD = """mutation MakeField($project: ID!, $name: String!, $options: [ProjectV2SingleSelectFieldOptionInput!]) {
  createProjectV2Field(
    input: {projectId: $project, name: $name, dataType: SINGLE_SELECT, singleSelectOptions: $options}
  ) { projectV2Field { ... on ProjectV2SingleSelectField { id name options { id name } } } }
}"""

MAKE_ISSUE = """mutation MakeIssue($repository: ID!, $title: String!, $body: String!) {
  createIssue(input: {repositoryId: $repository, title: $title, body: $body}) { issue { id number url } }
}"""

CHANGE_ISSUE = """mutation ChangeIssue($issue: ID!, $title: String!, $body: String!) {
  updateIssue(input: {id: $issue, title: $title, body: $body}) { issue { id } }
}"""

CLOSE_ISSUE = """mutation CloseIssue($issue: ID!, $reason: IssueClosedStateReason!, $same: ID) {
  closeIssue(input: {issueId: $issue, stateReason: $reason, duplicateIssueId: $same}) { issue { id } }
}"""

REOPEN_ISSUE = """mutation ReopenIssue($issue: ID!) {
  reopenIssue(input: {issueId: $issue}) { issue { id } }
}"""

SET_PARENT = """mutation SetParent($parent: ID!, $child: ID!) {
  addSubIssue(input: {issueId: $parent, subIssueId: $child, replaceParent: true}) { subIssue { id } }
}"""

ADD_ISSUE = """mutation AddIssue($project: ID!, $issue: ID!) {
  addProjectV2ItemById(input: {projectId: $project, contentId: $issue}) { item { id } }
}"""

MAKE_DRAFT = """mutation MakeDraft($project: ID!, $title: String!, $body: String!) {
  addProjectV2DraftIssue(input: {projectId: $project, title: $title, body: $body}) {
    projectItem { id content { ... on DraftIssue { id } } }
  }
}"""

CHANGE_DRAFT = """mutation ChangeDraft($draft: ID!, $title: String!, $body: String!) {
  updateProjectV2DraftIssue(input: {draftIssueId: $draft, title: $title, body: $body}) { draftIssue { id } }
}"""

CHOOSE = """mutation Choose($project: ID!, $item: ID!, $field: ID!, $option: String!) {
  updateProjectV2ItemFieldValue(
    input: {projectId: $project, itemId: $item, fieldId: $field, value: {singleSelectOptionId: $option}}
  ) { projectV2Item { id } }
}"""

ALL = {name: text for name, text in list(vars().items()) if name.isupper() and not name.startswith("_")}
