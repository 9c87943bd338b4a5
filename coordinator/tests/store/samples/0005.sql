BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO _sqlx_migrations VALUES(1,'the record','2026-11-29 08:56:13',1,X'da6fcc050f9bd8cacbc6c2d04008110677e3709796638cc60e2ef82813ffbd7cf00b004b94ffbb95fd102f5e1311df73',3367680);
INSERT INTO _sqlx_migrations VALUES(2,'identity','2026-11-29 08:56:13',1,X'0d07f71aa4094acdd0f4aa982b05b8636cab78766e5a9e251cfb44f4e15317021406d374d1379bee2ef3b9935563c685',859646);
INSERT INTO _sqlx_migrations VALUES(3,'floors','2026-11-29 08:56:13',1,X'4332e00f0cdfb06cc18cd5724373246e22b85fa779b2be4539383597901234b2ba9d835ffcca3ec8d5cc66d1307b3301',488522);
INSERT INTO _sqlx_migrations VALUES(4,'live workers','2026-11-29 08:56:13',1,X'6ad2df1d59fe3b70ee73ab5e84e2823f97259aded6d48118dbb48471266a27b9616bb04eb2307cd7056538c8566039cb',1578010);
INSERT INTO _sqlx_migrations VALUES(5,'trials','2026-11-29 08:56:13',1,X'bd2ecf99f34a3523c2a700e33542b8631d92aecb1a85c0a14720fa081f080b2342bdd0c33c7c9c318e3a5cc2c5155037',1379312);
CREATE TABLE repos (
  name text primary key,
  body text not null
);
INSERT INTO repos VALUES('web','{"name":"web","url":"/srv/sample/up","branch":"main","run":{"developer":"echo $SPRINT_ITEM > f$SPRINT_ITEM; git add -A; git commit -qm work"},"runtimes":{},"gates":[],"max_attempts":3,"limits":{},"halted":null,"frozen":null,"resume":"clean","max_duration":"2h","hung_after":"5m","pushing":{"from":"e7a5f230e9e0eeddfdc1928836f47ae473371e76","to":"c3b1cc64fd860e7e8cd29bdf851c272ba025b839"},"created_at":"2026-11-29T08:56:19.382Z"}');
CREATE TABLE items (
  id bigint primary key,
  repo text not null,
  kind text not null,
  stage text not null,
  parent bigint,
  -- sprint_core::schedule::urgency: smaller goes first.
  urgency bigint not null,
  body text not null
);
INSERT INTO items VALUES(1,'web','task','done',NULL,1795940779399,'{"id":1,"repo":"web","kind":"task","title":"one","description":"","acceptance":[],"priority":"medium","labels":[],"requires":{},"parent":null,"needs":[],"run":null,"stage":"done","commit":"c3b1cc64fd860e7e8cd29bdf851c272ba025b839","attempt":1,"failures":0,"losses":0,"not_before":null,"conflict":null,"feedback":[],"created_at":"2026-11-29T08:56:19.399Z","updated_at":"2026-11-29T08:56:20.609Z"}');
INSERT INTO items VALUES(2,'web','task','blocked',NULL,1795940779417,'{"id":2,"repo":"web","kind":"task","title":"two","description":"","acceptance":[],"priority":"medium","labels":[],"requires":{},"parent":null,"needs":[],"run":"exit 3","stage":"blocked","reason":"attempt 3 of 3 failed: exited with code 3","attempt":3,"failures":3,"losses":0,"not_before":null,"conflict":null,"feedback":[{"attempt":1,"text":"exited with code 3"},{"attempt":2,"text":"exited with code 3"},{"attempt":3,"text":"exited with code 3"}],"created_at":"2026-11-29T08:56:19.417Z","updated_at":"2026-11-29T08:56:20.134Z"}');
INSERT INTO items VALUES(3,'web','task','in_progress',NULL,1795940779431,'{"id":3,"repo":"web","kind":"task","title":"three","description":"","acceptance":[],"priority":"medium","labels":[],"requires":{},"parent":null,"needs":[],"run":"sleep 3000","stage":"in_progress","lease":{"worker":3,"outpost":"here"},"attempt":1,"failures":0,"losses":0,"not_before":null,"conflict":null,"feedback":[],"created_at":"2026-11-29T08:56:19.431Z","updated_at":"2026-11-29T08:56:19.434Z"}');
CREATE TABLE needs (
  item bigint not null,
  need bigint not null,
  primary key (item, need)
);
CREATE TABLE workers (
  id bigint primary key,
  item bigint not null,
  repo text not null,
  role text not null,
  outpost text not null,
  state text not null,
  -- 1 while it holds a slot.
  live bigint not null,
  -- 1 while its outpost must be told something: an assignment or a stop.
  body text not null
);
INSERT INTO workers VALUES(1,1,'web','developer','here','done',0,'{"id":1,"repo":"web","item":1,"gate":null,"attempt":1,"role":"developer","outpost":"here","state":"done","exit_code":0,"base":"e7a5f230e9e0eeddfdc1928836f47ae473371e76","resumed":null,"stop_reason":null,"terminal":null,"assigned_at":"2026-11-29T08:56:19.408Z","started_at":"2026-11-29T08:56:19.793Z","ended_at":"2026-11-29T08:56:20.236Z","report_seq":4,"log_bytes":0}');
INSERT INTO workers VALUES(2,2,'web','developer','here','failed',0,'{"id":2,"repo":"web","item":2,"gate":null,"attempt":1,"role":"developer","outpost":"here","state":"failed","exit_code":3,"reason":"exited with code 3","base":"e7a5f230e9e0eeddfdc1928836f47ae473371e76","resumed":null,"stop_reason":null,"terminal":null,"assigned_at":"2026-11-29T08:56:19.419Z","started_at":"2026-11-29T08:56:19.793Z","ended_at":"2026-11-29T08:56:19.879Z","report_seq":4,"log_bytes":0}');
INSERT INTO workers VALUES(3,3,'web','developer','here','running',1,'{"id":3,"repo":"web","item":3,"gate":null,"attempt":1,"role":"developer","outpost":"here","state":"running","base":"e7a5f230e9e0eeddfdc1928836f47ae473371e76","resumed":null,"stop_reason":null,"terminal":{"boot_id":"2f69b1ed-b2d6-45d4-b49a-80ed256338e3","tmux_socket":"/srv/sample/o/tmux.sock","tmux_session":"w3"},"assigned_at":"2026-11-29T08:56:19.434Z","started_at":"2026-11-29T08:56:19.813Z","ended_at":null,"report_seq":2,"log_bytes":null}');
INSERT INTO workers VALUES(4,2,'web','developer','here','failed',0,'{"id":4,"repo":"web","item":2,"gate":null,"attempt":2,"role":"developer","outpost":"here","state":"failed","exit_code":3,"reason":"exited with code 3","base":"e7a5f230e9e0eeddfdc1928836f47ae473371e76","resumed":null,"stop_reason":null,"terminal":null,"assigned_at":"2026-11-29T08:56:19.881Z","started_at":"2026-11-29T08:56:19.914Z","ended_at":"2026-11-29T08:56:20.010Z","report_seq":4,"log_bytes":0}');
INSERT INTO workers VALUES(5,2,'web','developer','here','failed',0,'{"id":5,"repo":"web","item":2,"gate":null,"attempt":3,"role":"developer","outpost":"here","state":"failed","exit_code":3,"reason":"exited with code 3","base":"e7a5f230e9e0eeddfdc1928836f47ae473371e76","resumed":null,"stop_reason":null,"terminal":null,"assigned_at":"2026-11-29T08:56:20.012Z","started_at":"2026-11-29T08:56:20.064Z","ended_at":"2026-11-29T08:56:20.134Z","report_seq":4,"log_bytes":0}');
INSERT INTO workers VALUES(6,1,'web','gate','here','done',0,'{"id":6,"repo":"web","item":1,"gate":{"trial":1,"name":"test"},"attempt":1,"role":"gate","outpost":"here","state":"done","exit_code":0,"base":"c3b1cc64fd860e7e8cd29bdf851c272ba025b839","resumed":null,"stop_reason":null,"terminal":null,"assigned_at":"2026-11-29T08:56:20.295Z","started_at":"2026-11-29T08:56:20.547Z","ended_at":"2026-11-29T08:56:20.557Z","report_seq":4,"log_bytes":0}');
CREATE TABLE changes (
  id bigint primary key,
  repo text not null,
  item bigint not null,
  state text not null,
  -- 1 while it is in the queue.
  pending bigint not null,
  -- Gate runs that wait for a slot.
  body text not null
);
INSERT INTO changes VALUES(1,'web',1,'landed',0,'{"id":1,"repo":"web","item":1,"attempt":1,"head":"ab757e5941cf67d9bbcb6ecd2e91bc6f8a2a8a96","role":"developer","source":null,"direct":null,"state":"landed","candidate":{"commit":"c3b1cc64fd860e7e8cd29bdf851c272ba025b839","tree":"b415ec85f6cf13654a6e775aaac097730f454f69","base":"e7a5f230e9e0eeddfdc1928836f47ae473371e76","gates":[{"name":"test","run":"test -e a","timeout":"30m","retries":0,"stage":1,"needs":[],"report":[],"require":[]}]},"created_at":"2026-11-29T08:56:20.236Z","updated_at":"2026-11-29T08:56:20.609Z"}');
CREATE TABLE outposts (
  name text primary key,
  body text not null
);
INSERT INTO outposts VALUES('here','{"name":"here","key":"9b1ac79e4fe378536013d4ee7309b6eeb9518626ec88c2c8330d6a5e94ed88f9","labels":{"sandbox":"landlock-abi7+namespace"},"max_workers":3,"state":"online","version":"0.1.0","draining":false,"paused":null,"disconnect_grace":null,"joined_at":"2026-11-29T08:56:16.235Z","last_seen":"2026-11-29T08:56:16.284Z"}');
CREATE TABLE events (
  seq bigint primary key,
  time_ms bigint not null,
  kind text not null,
  repo text,
  item bigint,
  actor text not null,
  data text not null
, origin text);
INSERT INTO events VALUES(1,1795942573202,'token_created',NULL,NULL,'coordinator','{"expires_at":"2046-11-24T08:56:13.202Z","kind":"admin","name":"local","token":"cef186c1"}',NULL);
INSERT INTO events VALUES(2,1795942576146,'token_created',NULL,NULL,'admin/local','{"expires_at":"2026-11-29T09:56:16.146Z","kind":"outpost","name_prefix":"","token":"6db86a7d","used":0,"uses":1}','127.0.0.1:35658');
INSERT INTO events VALUES(3,1795942576235,'outpost_joined',NULL,NULL,'outpost/here','{"key":"9b1ac79e4fe378536013d4ee7309b6eeb9518626ec88c2c8330d6a5e94ed88f9","outpost":"here","token":"6db86a7d"}','127.0.0.1:35666');
INSERT INTO events VALUES(4,1795942576235,'token_used',NULL,NULL,'outpost/here','{"key":"9b1ac79e4fe378536013d4ee7309b6eeb9518626ec88c2c8330d6a5e94ed88f9","outpost":"here","token":"6db86a7d"}','127.0.0.1:35666');
INSERT INTO events VALUES(5,1795942576284,'outpost_connected',NULL,NULL,'outpost/here','{"max_workers":3,"outpost":"here","workers":0}',NULL);
INSERT INTO events VALUES(6,1795942579382,'repo_added','web',NULL,'admin/local','{"branch":"main","url":"/srv/sample/up"}','127.0.0.1:35712');
INSERT INTO events VALUES(7,1795942579399,'item_added','web',1,'admin/local','{"kind":"task","needs":[],"stage":"ready","title":"one"}','127.0.0.1:35714');
INSERT INTO events VALUES(8,1795942579408,'item_leased','web',1,'scheduler','{"attempt":1,"lease":{"outpost":"here","worker":1},"stage":"in_progress"}',NULL);
INSERT INTO events VALUES(9,1795942579408,'worker_assigned','web',1,'scheduler','{"attempt":1,"base":"e7a5f230e9e0eeddfdc1928836f47ae473371e76","gate":null,"outpost":"here","resumed":null,"role":"developer","worker":1}',NULL);
INSERT INTO events VALUES(10,1795942579417,'item_added','web',2,'admin/local','{"kind":"task","needs":[],"stage":"ready","title":"two"}','127.0.0.1:35724');
INSERT INTO events VALUES(11,1795942579418,'worker_accepted','web',1,'outpost/here','{"worker":1}',NULL);
INSERT INTO events VALUES(12,1795942579419,'item_leased','web',2,'scheduler','{"attempt":1,"lease":{"outpost":"here","worker":2},"stage":"in_progress"}',NULL);
INSERT INTO events VALUES(13,1795942579419,'worker_assigned','web',2,'scheduler','{"attempt":1,"base":"e7a5f230e9e0eeddfdc1928836f47ae473371e76","gate":null,"outpost":"here","resumed":null,"role":"developer","worker":2}',NULL);
INSERT INTO events VALUES(14,1795942579431,'item_added','web',3,'admin/local','{"kind":"task","needs":[],"stage":"ready","title":"three"}','127.0.0.1:35734');
INSERT INTO events VALUES(15,1795942579433,'worker_accepted','web',2,'outpost/here','{"worker":2}',NULL);
INSERT INTO events VALUES(16,1795942579434,'item_leased','web',3,'scheduler','{"attempt":1,"lease":{"outpost":"here","worker":3},"stage":"in_progress"}',NULL);
INSERT INTO events VALUES(17,1795942579434,'worker_assigned','web',3,'scheduler','{"attempt":1,"base":"e7a5f230e9e0eeddfdc1928836f47ae473371e76","gate":null,"outpost":"here","resumed":null,"role":"developer","worker":3}',NULL);
INSERT INTO events VALUES(18,1795942579453,'worker_accepted','web',3,'outpost/here','{"worker":3}',NULL);
INSERT INTO events VALUES(19,1795942579793,'worker_started','web',2,'outpost/here','{"worker":2}',NULL);
INSERT INTO events VALUES(20,1795942579793,'worker_started','web',1,'outpost/here','{"worker":1}',NULL);
INSERT INTO events VALUES(21,1795942579813,'worker_started','web',3,'outpost/here','{"worker":3}',NULL);
INSERT INTO events VALUES(22,1795942579837,'worker_exited','web',1,'outpost/here','{"exit_code":0,"worker":1}',NULL);
INSERT INTO events VALUES(23,1795942579849,'worker_exited','web',2,'outpost/here','{"exit_code":3,"worker":2}',NULL);
INSERT INTO events VALUES(24,1795942579879,'worker_failed','web',2,'outpost/here','{"exit_code":3,"reason":"exited with code 3","worker":2}',NULL);
INSERT INTO events VALUES(25,1795942579879,'item_attempt_failed','web',2,'outpost/here','{"attempt":1,"max_attempts":3,"reason":"exited with code 3","stage":"ready"}',NULL);
INSERT INTO events VALUES(26,1795942579881,'item_leased','web',2,'scheduler','{"attempt":2,"lease":{"outpost":"here","worker":4},"stage":"in_progress"}',NULL);
INSERT INTO events VALUES(27,1795942579881,'worker_assigned','web',2,'scheduler','{"attempt":2,"base":"e7a5f230e9e0eeddfdc1928836f47ae473371e76","gate":null,"outpost":"here","resumed":null,"role":"developer","worker":4}',NULL);
INSERT INTO events VALUES(28,1795942579893,'worker_accepted','web',2,'outpost/here','{"worker":4}',NULL);
INSERT INTO events VALUES(29,1795942579914,'worker_started','web',2,'outpost/here','{"worker":4}',NULL);
INSERT INTO events VALUES(30,1795942579958,'worker_exited','web',2,'outpost/here','{"exit_code":3,"worker":4}',NULL);
INSERT INTO events VALUES(31,1795942580010,'worker_failed','web',2,'outpost/here','{"exit_code":3,"reason":"exited with code 3","worker":4}',NULL);
INSERT INTO events VALUES(32,1795942580010,'item_attempt_failed','web',2,'outpost/here','{"attempt":2,"max_attempts":3,"reason":"exited with code 3","stage":"ready"}',NULL);
INSERT INTO events VALUES(33,1795942580012,'item_leased','web',2,'scheduler','{"attempt":3,"lease":{"outpost":"here","worker":5},"stage":"in_progress"}',NULL);
INSERT INTO events VALUES(34,1795942580012,'worker_assigned','web',2,'scheduler','{"attempt":3,"base":"e7a5f230e9e0eeddfdc1928836f47ae473371e76","gate":null,"outpost":"here","resumed":null,"role":"developer","worker":5}',NULL);
INSERT INTO events VALUES(35,1795942580056,'worker_accepted','web',2,'outpost/here','{"worker":5}',NULL);
INSERT INTO events VALUES(36,1795942580064,'worker_started','web',2,'outpost/here','{"worker":5}',NULL);
INSERT INTO events VALUES(37,1795942580083,'worker_exited','web',2,'outpost/here','{"exit_code":3,"worker":5}',NULL);
INSERT INTO events VALUES(38,1795942580134,'worker_failed','web',2,'outpost/here','{"exit_code":3,"reason":"exited with code 3","worker":5}',NULL);
INSERT INTO events VALUES(39,1795942580134,'item_attempt_failed','web',2,'outpost/here','{"attempt":3,"max_attempts":3,"reason":"exited with code 3","stage":"blocked"}',NULL);
INSERT INTO events VALUES(40,1795942580236,'worker_completed','web',1,'outpost/here','{"exit_code":0,"worker":1}',NULL);
INSERT INTO events VALUES(41,1795942580236,'change_queued','web',1,'outpost/here','{"attempt":1,"change":1,"direct":null,"head":"ab757e5941cf67d9bbcb6ecd2e91bc6f8a2a8a96","source":null}',NULL);
INSERT INTO events VALUES(42,1795942580236,'item_delivered','web',1,'outpost/here','{"attempt":1,"change":1,"stage":"merging"}',NULL);
INSERT INTO events VALUES(43,1795942580294,'trial_begun','web',1,'merge-queue','{"base":"e7a5f230e9e0eeddfdc1928836f47ae473371e76","changes":[1],"commit":"c3b1cc64fd860e7e8cd29bdf851c272ba025b839","gates":["test"],"purpose":"queue","same_as":null,"state":"gating","tree":"b415ec85f6cf13654a6e775aaac097730f454f69","trial":1}',NULL);
INSERT INTO events VALUES(44,1795942580295,'trial_gate_assigned','web',1,'scheduler','{"changes":[1],"commit":"c3b1cc64fd860e7e8cd29bdf851c272ba025b839","gate":"test","state":"gating","tree":"b415ec85f6cf13654a6e775aaac097730f454f69","trial":1,"worker":6}',NULL);
INSERT INTO events VALUES(45,1795942580295,'worker_assigned','web',1,'scheduler','{"attempt":1,"base":"c3b1cc64fd860e7e8cd29bdf851c272ba025b839","gate":{"name":"test","trial":1},"outpost":"here","resumed":null,"role":"gate","worker":6}',NULL);
INSERT INTO events VALUES(46,1795942580311,'worker_accepted','web',1,'outpost/here','{"worker":6}',NULL);
INSERT INTO events VALUES(47,1795942580547,'worker_started','web',1,'outpost/here','{"worker":6}',NULL);
INSERT INTO events VALUES(48,1795942580547,'worker_exited','web',1,'outpost/here','{"exit_code":0,"worker":6}',NULL);
INSERT INTO events VALUES(49,1795942580557,'worker_completed','web',1,'outpost/here','{"exit_code":0,"worker":6}',NULL);
INSERT INTO events VALUES(50,1795942580557,'trial_gate_passed','web',1,'outpost/here','{"changes":[1],"commit":"c3b1cc64fd860e7e8cd29bdf851c272ba025b839","state":"passed","tree":"b415ec85f6cf13654a6e775aaac097730f454f69","trial":1,"verdict":{"duration_ms":6,"findings":[],"gate":"test","metrics":{},"outcome":"passed","reason":""},"worker":6}',NULL);
INSERT INTO events VALUES(51,1795942580599,'change_landing_begun','web',1,'merge-queue','{"candidate":{"base":"e7a5f230e9e0eeddfdc1928836f47ae473371e76","commit":"c3b1cc64fd860e7e8cd29bdf851c272ba025b839","gates":[{"name":"test","needs":[],"report":[],"require":[],"retries":0,"run":"test -e a","stage":1,"timeout":"30m"}],"tree":"b415ec85f6cf13654a6e775aaac097730f454f69"},"change":1,"relaxed":false,"trial":1}',NULL);
INSERT INTO events VALUES(52,1795942580609,'change_landed','web',1,'merge-queue','{"change":1}',NULL);
INSERT INTO events VALUES(53,1795942580609,'item_landed','web',1,'merge-queue','{"change":1,"commit":"c3b1cc64fd860e7e8cd29bdf851c272ba025b839","stage":"done"}',NULL);
INSERT INTO events VALUES(54,1795942580611,'trial_retired','web',1,'merge-queue','{"changes":[1],"commit":"c3b1cc64fd860e7e8cd29bdf851c272ba025b839","state":"passed","tree":"b415ec85f6cf13654a6e775aaac097730f454f69","trial":1}',NULL);
INSERT INTO events VALUES(55,1795942580618,'repo_pushing','web',NULL,'merge-queue','{"from":"e7a5f230e9e0eeddfdc1928836f47ae473371e76","to":"c3b1cc64fd860e7e8cd29bdf851c272ba025b839"}',NULL);
INSERT INTO events VALUES(56,1795942580692,'repo_push_lost','web',NULL,'merge-queue','{"found":"e7a5f230e9e0eeddfdc1928836f47ae473371e76","tip":"c3b1cc64fd860e7e8cd29bdf851c272ba025b839"}',NULL);
INSERT INTO events VALUES(57,1795942580693,'repo_pushing','web',NULL,'merge-queue','{"from":"e7a5f230e9e0eeddfdc1928836f47ae473371e76","to":"c3b1cc64fd860e7e8cd29bdf851c272ba025b839"}',NULL);
CREATE TABLE tokens (
  id text primary key,
  body text not null
);
INSERT INTO tokens VALUES('cef186c1','{"id":"cef186c1","proof":{"key":"da9b22c317acc90ec33b7eb9b62a2bbad92070a71da7ebfe82ecd2cf4493db62"},"grant":{"grants":"access","role":"admin","name":"local"},"expires_at":"2046-11-24T08:56:13.202Z","created_at":"2026-11-29T08:56:13.202Z","created_by":"coordinator","revoked_at":null}');
INSERT INTO tokens VALUES('6db86a7d','{"id":"6db86a7d","proof":{"secret":"bd4cc397f0ed2949855e092cf108360f780ce7bebd7b5a4ddf147661267f0c5c"},"grant":{"grants":"join","uses":1,"used":1,"name_prefix":""},"expires_at":"2026-11-29T09:56:16.146Z","created_at":"2026-11-29T08:56:16.146Z","created_by":"admin/local","revoked_at":null}');
CREATE TABLE floors (
  name text primary key,
  next bigint not null
);
CREATE TABLE trials (
  id bigint primary key,
  repo text not null,
  tree text not null,
  state text not null,
  -- 1 when it cannot matter any more.
  retired bigint not null,
  body text not null
);
INSERT INTO trials VALUES(1,'web','b415ec85f6cf13654a6e775aaac097730f454f69','passed',1,'{"id":1,"repo":"web","purpose":"queue","members":[{"change":1,"item":1,"attempt":1,"head":"ab757e5941cf67d9bbcb6ecd2e91bc6f8a2a8a96"}],"commit":"c3b1cc64fd860e7e8cd29bdf851c272ba025b839","tree":"b415ec85f6cf13654a6e775aaac097730f454f69","base":"e7a5f230e9e0eeddfdc1928836f47ae473371e76","gates":[{"name":"test","run":"test -e a","timeout":"30m","retries":0,"stage":1,"needs":[],"report":[],"require":[]}],"runs":[{"gate":{"name":"test","run":"test -e a","timeout":"30m","retries":0,"stage":1,"needs":[],"report":[],"require":[]},"run":"passed","failures":0,"losses":0,"excuses":0,"avoid":[],"flaky":false,"verdict":{"gate":"test","outcome":"passed","reason":"","metrics":{},"findings":[],"duration_ms":6}}],"state":"passed","confirming":false,"same_as":null,"retired":true,"created_at":"2026-11-29T08:56:20.294Z","updated_at":"2026-11-29T08:56:20.611Z"}');
CREATE INDEX items_by_stage on items (stage, urgency, id);
CREATE INDEX items_by_parent on items (parent) where parent is not null;
CREATE INDEX needs_by_need on needs (need);
CREATE INDEX workers_live on workers (outpost, repo, role) where live = 1;
CREATE INDEX workers_by_item on workers (item);
CREATE INDEX changes_pending on changes (repo, id) where pending = 1;
CREATE INDEX changes_by_item on changes (item);
CREATE INDEX events_by_item on events (item, seq) where item is not null;
CREATE INDEX events_audit on events (seq) where origin is not null;
CREATE INDEX trials_by_tree on trials (repo, tree);
CREATE INDEX trials_live on trials (repo, id) where retired = 0;
COMMIT;
