/** Verbs and options of kubectl and docker compose, and words that look like verbs -> what does that here. Callers: program.ts. */

const VERBS: Readonly<Record<string, string>> = {
  'api-resources': 'caractrl get --help lists the types',
  attach: 'caractrl logs -f PROJECT/SERVICE, or caractrl exec -it PROJECT/SERVICE -- sh',
  backup: 'cara-server backup FILE, on the machine of the server',
  'cluster-info': 'caractrl version, or caractrl get servers',
  cp: 'caractrl exec PROJECT/SERVICE -- cat FILE > FILE, or caractrl exec -i PROJECT/SERVICE -- tee FILE < FILE',
  down: 'caractrl delete project NAME; volumes of type Managed stay',
  edit: 'caractrl get project NAME -o yaml > FILE, change it, then caractrl apply -f FILE',
  explain: 'the fields of manifests are in schemas/project.json; caractrl apply --dry-run -f FILE checks one',
  expose: 'ports with a hostPort in the manifest, or caractrl port-forward PROJECT/SERVICE 8080:80',
  history: 'caractrl rollout history PROJECT',
  info: 'caractrl get nodes,projects',
  inspect: 'caractrl describe project NAME, or caractrl get project NAME -o yaml',
  join: 'caractrl token create --role node --node NAME prints the command for the machine',
  kill: 'caractrl rollout restart PROJECT/SERVICE, or caractrl delete project NAME',
  list: 'caractrl get projects, or caractrl get nodes',
  logout: 'caractrl config delete-context NAME',
  ls: 'caractrl get projects, or caractrl get nodes',
  nodes: 'caractrl get nodes',
  patch: 'caractrl apply -f FILE, caractrl label or caractrl annotate',
  project: 'caractrl get project NAME, or caractrl describe project NAME',
  projects: 'caractrl get projects',
  ps: 'caractrl get projects, or caractrl top services',
  remove: 'caractrl delete TYPE NAME',
  replace: 'caractrl apply -f FILE',
  restart: 'caractrl rollout restart PROJECT[/SERVICE]',
  restore: 'cara-server restore FILE, on the machine of the server',
  rm: 'caractrl delete TYPE NAME',
  rollback: 'caractrl rollout undo PROJECT',
  run: 'caractrl apply -f FILE; what is to run once has restartPolicy: Never',
  scale: 'a service is one container: write another service, or another Project',
  secret: 'caractrl get secrets, or caractrl create secret generic NAME --from-file KEY=FILE',
  secrets: 'caractrl get secrets',
  servers: 'caractrl get servers',
  services: 'caractrl top services, or caractrl describe project NAME',
  set: 'change the manifest, then caractrl apply -f FILE',
  shell: 'caractrl exec -it PROJECT/SERVICE -- sh',
  ssh: 'caractrl exec -it PROJECT/SERVICE -- sh',
  start: 'caractrl apply -f FILE',
  stats: 'caractrl top services',
  status: 'caractrl get nodes,projects, or caractrl rollout status PROJECT',
  stop: 'caractrl delete project NAME; volumes of type Managed stay, and caractrl apply -f FILE starts it again',
  taint: 'caractrl cordon NODE',
  undo: 'caractrl rollout undo PROJECT',
  unlabel: 'caractrl label TYPE NAME KEY-',
  up: 'caractrl apply -f FILE --wait',
  volumes: 'caractrl get volumes',
  wait: 'caractrl rollout status PROJECT, or caractrl apply -f FILE --wait',
  watch: 'caractrl get projects --watch',
  whoami: 'caractrl auth whoami',
};

/** What to type instead, for a verb that there is not. */
export function hintForVerb(word: string): string | undefined {
  return Object.hasOwn(VERBS, word) ? VERBS[word] : undefined;
}

const IN_FILES = 'caractrl apply -f FILE makes what a file describes, caractrl delete -f FILE removes it';

/** Option -> what to do instead, as it completes "caractrl has none". */
const OPTIONS: Readonly<Record<string, string>> = {
  '--all': 'name them, as in: caractrl get projects -o name | xargs caractrl delete; get, describe and delete take -l too',
  '--all-namespaces': 'leave it out: there are no namespaces',
  '--cascade': 'leave it out: containers go with their Project, and volumes of type Managed stay',
  '--container': 'write PROJECT/SERVICE',
  '--detach': 'leave it out: apply waits only with --wait',
  '--file': IN_FILES,
  '--field-selector': 'caractrl get projects --phase PHASE --node NODE, or -l for labels',
  '--from-env-file': 'write --from-file KEY=FILE for each, or a manifest of kind Secret with stringData',
  '--grace-period': 'the stopGracePeriod of the service counts',
  '--ignore-daemonsets': 'leave it out',
  '--kustomize': 'kustomize build FOLDER | caractrl apply -f -',
  '--lines': 'write --tail',
  '--namespace': 'leave it out: there are no namespaces; -l selects by labels',
  '--now': 'the stopGracePeriod of the service counts',
  '--overwrite': 'leave it out: a value that is there is replaced',
  '--sort-by': 'caractrl top sorts; other tables by name, or as in: caractrl get projects --no-headers | sort -k 2',
  '--version': 'caractrl version',
  '-A': 'leave it out: there are no namespaces',
  '-c': 'write PROJECT/SERVICE',
  '-f': IN_FILES,
  '-k': 'kustomize build FOLDER | caractrl apply -f -',
  '-v': 'caractrl version',
  '-d': 'leave it out: apply waits only with --wait',
  '-n': 'leave it out: there are no namespaces; the last lines of a log are --tail 10',
};

/** What to do instead, for an option that the verb has not. */
export function hintForOption(option: string): string | undefined {
  const [name = ''] = option.split('=', 1);
  return Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined;
}
