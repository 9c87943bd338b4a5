PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version bigint primary key,
    description text not null,
    installed_on timestamp not null default current_timestamp,
    success boolean not null,
    checksum blob not null,
    execution_time bigint not null
);
INSERT INTO "_sqlx_migrations" VALUES(1,'the record','2026-11-29 17:36:06',1,X'DA6FCC050F9BD8CACBC6C2D04008110677E3709796638CC60E2EF82813FFBD7CF00B004B94FFBB95FD102F5E1311DF73',0);
INSERT INTO "_sqlx_migrations" VALUES(2,'identity','2026-11-29 17:36:06',1,X'0D07F71AA4094ACDD0F4AA982B05B8636CAB78766E5A9E251CFB44F4E15317021406D374D1379BEE2EF3B9935563C685',0);
INSERT INTO "_sqlx_migrations" VALUES(3,'floors','2026-11-29 17:36:06',1,X'4332E00F0CDFB06CC18CD5724373246E22B85FA779B2BE4539383597901234B2BA9D835FFCCA3EC8D5CC66D1307B3301',0);
INSERT INTO "_sqlx_migrations" VALUES(4,'live workers','2026-11-29 17:36:06',1,X'6AD2DF1D59FE3B70EE73AB5E84E2823F97259ADED6D48118DBB48471266A27B9616BB04EB2307CD7056538C8566039CB',0);
INSERT INTO "_sqlx_migrations" VALUES(5,'trials','2026-11-29 17:36:06',1,X'BD2ECF99F34A3523C2A700E33542B8631D92AECB1A85C0A14720FA081F080B2342BDD0C33C7C9C318E3A5CC2C5155037',0);
INSERT INTO "_sqlx_migrations" VALUES(6,'sequences','2026-11-29 17:36:06',1,X'FB690C626E506BC913D122968B547097658D707BE62CF57FA95D747274A0427EC23B41C18E28CE3B3E7E3E57DB642178',0);
INSERT INTO "_sqlx_migrations" VALUES(7,'jobs','2026-11-29 17:36:06',1,X'9B8302650DA4B089BAC9D711E5FDE00D891018464B3C9C74FB124462482ECB85D2EFE0AB1D0A9C6D0D649D113188784C',0);
INSERT INTO "_sqlx_migrations" VALUES(8,'backlog in memory','2026-11-29 17:36:06',1,X'E7BAD27AB8DC4843DE717E11D609353F1A9992A57B15B93DE9AE85BFB3046D221C2BC2D83C96E60199D4CD2515835EE0',0);
INSERT INTO "_sqlx_migrations" VALUES(9,'keys as rowids','2026-11-29 17:36:07',1,X'CB31CD890A1B7192715BAFE17EF2345C3C4517B1A4D9060E14F5E8FF4A89B5EFDA8CE979BBC65D47465390CE1DDD0A92',0);
CREATE TABLE "changes" (
  id integer primary key,
  repo text not null,
  item bigint not null,
  state text not null,
  -- 1 while it is in the queue.
  pending bigint not null,
  body text not null
);
INSERT INTO "changes" VALUES(1,'web',1,'landed',0,'{"id":1,"repo":"web","item":1,"attempt":1,"head":"e18e49fae1433f98ade3b0acfad6708f2e7ef029","role":"developer","source":null,"direct":null,"state":"landed","candidate":{"commit":"2000d060c21c562205cbf49c35cc24daac4e9a98","tree":"4f34dba741d17959f764f927f84322cfe180665c","base":"ce8185688b6e5e98b79a861e03b7a04ae80d0788","gates":[{"name":"test","run":"true","timeout":"30m","retries":0,"stage":1,"needs":[],"report":[],"require":[]}]},"created_at":"2026-11-29T17:36:27.876Z","updated_at":"2026-11-29T17:36:28.000Z"}');
INSERT INTO "changes" VALUES(2,'web',4,'landed',0,'{"id":2,"repo":"web","item":4,"attempt":1,"head":"4ffdfa3445fa8337e1af208aa3d7d8475d802dbe","role":"developer","source":null,"direct":null,"state":"landed","candidate":{"commit":"aead20b41eaaa4c2d7e145e058ee1b8919fd2294","tree":"45d520d7fdfc9a02d1b3062bc3aac64b6a496ae2","base":"2000d060c21c562205cbf49c35cc24daac4e9a98","gates":[{"name":"test","run":"true","timeout":"30m","retries":0,"stage":1,"needs":[],"report":[],"require":[]}]},"created_at":"2026-11-29T17:36:28.270Z","updated_at":"2026-11-29T17:36:28.389Z"}');
CREATE TABLE "events" (
  seq integer primary key,
  time_ms bigint not null,
  kind text not null,
  repo text,
  item bigint,
  actor text not null,
  data text not null,
  -- The address that an act came from; present where the event is part of the audit.
  origin text
);
INSERT INTO "events" VALUES(1,1795973766835,'token_created',NULL,NULL,'coordinator','{"expires_at":"2046-11-24T17:36:06.835Z","kind":"admin","name":"local","token":"823f513b"}',NULL);
INSERT INTO "events" VALUES(2,1795973768813,'token_created',NULL,NULL,'admin/local','{"expires_at":"2026-11-29T18:36:08.813Z","kind":"outpost","name_prefix":"","token":"f126f285","used":0,"uses":1}','127.0.0.1:59972');
INSERT INTO "events" VALUES(3,1795973768832,'outpost_joined',NULL,NULL,'outpost/here','{"key":"843785595f314b6788aa6bb72b4505850019fe9f98ec632980e1011a6eede700","outpost":"here","token":"f126f285"}','127.0.0.1:59986');
INSERT INTO "events" VALUES(4,1795973768832,'token_used',NULL,NULL,'outpost/here','{"key":"843785595f314b6788aa6bb72b4505850019fe9f98ec632980e1011a6eede700","outpost":"here","token":"f126f285"}','127.0.0.1:59986');
INSERT INTO "events" VALUES(5,1795973768850,'outpost_connected',NULL,NULL,'outpost/here','{"max_workers":1,"outpost":"here","workers":0}',NULL);
INSERT INTO "events" VALUES(6,1795973770866,'repo_added','web',NULL,'admin/local','{"branch":"main","url":"/srv/sample/up"}','127.0.0.1:60024');
INSERT INTO "events" VALUES(7,1795973787673,'item_added','web',1,'admin/local','{"kind":"task","needs":[],"stage":"ready","title":"one"}','127.0.0.1:33870');
INSERT INTO "events" VALUES(8,1795973787674,'item_leased','web',1,'scheduler','{"attempt":1,"lease":{"outpost":"here","worker":1},"stage":"in_progress"}',NULL);
INSERT INTO "events" VALUES(9,1795973787674,'worker_assigned','web',1,'scheduler','{"attempt":1,"base":"ce8185688b6e5e98b79a861e03b7a04ae80d0788","gate":null,"outpost":"here","resumed":null,"role":"developer","worker":1}',NULL);
INSERT INTO "events" VALUES(10,1795973787679,'worker_accepted','web',1,'outpost/here','{"worker":1}',NULL);
INSERT INTO "events" VALUES(11,1795973787773,'worker_started','web',1,'outpost/here','{"worker":1}',NULL);
INSERT INTO "events" VALUES(12,1795973787784,'worker_exited','web',1,'outpost/here','{"exit_code":0,"worker":1}',NULL);
INSERT INTO "events" VALUES(13,1795973787876,'worker_completed','web',1,'outpost/here','{"exit_code":0,"worker":1}',NULL);
INSERT INTO "events" VALUES(14,1795973787876,'change_queued','web',1,'outpost/here','{"attempt":1,"change":1,"direct":null,"head":"e18e49fae1433f98ade3b0acfad6708f2e7ef029","source":null}',NULL);
INSERT INTO "events" VALUES(15,1795973787876,'item_delivered','web',1,'outpost/here','{"attempt":1,"change":1,"stage":"merging"}',NULL);
INSERT INTO "events" VALUES(16,1795973787897,'trial_begun','web',1,'merge-queue','{"base":"ce8185688b6e5e98b79a861e03b7a04ae80d0788","changes":[1],"commit":"2000d060c21c562205cbf49c35cc24daac4e9a98","gates":["test"],"purpose":"queue","same_as":null,"state":"gating","tree":"4f34dba741d17959f764f927f84322cfe180665c","trial":1}',NULL);
INSERT INTO "events" VALUES(17,1795973787897,'trial_gate_assigned','web',1,'scheduler','{"changes":[1],"commit":"2000d060c21c562205cbf49c35cc24daac4e9a98","gate":"test","state":"gating","tree":"4f34dba741d17959f764f927f84322cfe180665c","trial":1,"worker":2}',NULL);
INSERT INTO "events" VALUES(18,1795973787897,'worker_assigned','web',NULL,'scheduler','{"attempt":null,"base":"2000d060c21c562205cbf49c35cc24daac4e9a98","gate":{"gate":"test","trial":1},"outpost":"here","resumed":null,"role":"gate","worker":2}',NULL);
INSERT INTO "events" VALUES(19,1795973787913,'worker_accepted','web',NULL,'outpost/here','{"worker":2}',NULL);
INSERT INTO "events" VALUES(20,1795973787981,'worker_started','web',NULL,'outpost/here','{"worker":2}',NULL);
INSERT INTO "events" VALUES(21,1795973787985,'worker_exited','web',NULL,'outpost/here','{"exit_code":0,"worker":2}',NULL);
INSERT INTO "events" VALUES(22,1795973787988,'worker_completed','web',NULL,'outpost/here','{"exit_code":0,"worker":2}',NULL);
INSERT INTO "events" VALUES(23,1795973787988,'trial_gate_passed','web',1,'outpost/here','{"changes":[1],"commit":"2000d060c21c562205cbf49c35cc24daac4e9a98","state":"passed","tree":"4f34dba741d17959f764f927f84322cfe180665c","trial":1,"verdict":{"duration_ms":2,"findings":[],"gate":"test","metrics":{},"outcome":"passed","reason":""},"worker":2}',NULL);
INSERT INTO "events" VALUES(24,1795973787999,'change_landing_begun','web',1,'merge-queue','{"candidate":{"base":"ce8185688b6e5e98b79a861e03b7a04ae80d0788","commit":"2000d060c21c562205cbf49c35cc24daac4e9a98","gates":[{"name":"test","needs":[],"report":[],"require":[],"retries":0,"run":"true","stage":1,"timeout":"30m"}],"tree":"4f34dba741d17959f764f927f84322cfe180665c"},"change":1,"relaxed":false,"trial":1}',NULL);
INSERT INTO "events" VALUES(25,1795973788000,'change_landed','web',1,'merge-queue','{"change":1}',NULL);
INSERT INTO "events" VALUES(26,1795973788000,'item_landed','web',1,'merge-queue','{"change":1,"commit":"2000d060c21c562205cbf49c35cc24daac4e9a98","stage":"done"}',NULL);
INSERT INTO "events" VALUES(27,1795973788002,'trial_retired','web',1,'merge-queue','{"changes":[1],"commit":"2000d060c21c562205cbf49c35cc24daac4e9a98","state":"passed","tree":"4f34dba741d17959f764f927f84322cfe180665c","trial":1}',NULL);
INSERT INTO "events" VALUES(28,1795973788004,'repo_pushing','web',NULL,'merge-queue','{"from":"ce8185688b6e5e98b79a861e03b7a04ae80d0788","to":"2000d060c21c562205cbf49c35cc24daac4e9a98"}',NULL);
INSERT INTO "events" VALUES(29,1795973788007,'item_added','web',2,'admin/local','{"kind":"task","needs":[],"stage":"ready","title":"fails"}','127.0.0.1:33914');
INSERT INTO "events" VALUES(30,1795973788007,'item_leased','web',2,'scheduler','{"attempt":1,"lease":{"outpost":"here","worker":3},"stage":"in_progress"}',NULL);
INSERT INTO "events" VALUES(31,1795973788007,'worker_assigned','web',2,'scheduler','{"attempt":1,"base":"2000d060c21c562205cbf49c35cc24daac4e9a98","gate":null,"outpost":"here","resumed":null,"role":"developer","worker":3}',NULL);
INSERT INTO "events" VALUES(32,1795973788017,'worker_accepted','web',2,'outpost/here','{"worker":3}',NULL);
INSERT INTO "events" VALUES(33,1795973788026,'worker_started','web',2,'outpost/here','{"worker":3}',NULL);
INSERT INTO "events" VALUES(34,1795973788038,'worker_exited','web',2,'outpost/here','{"exit_code":3,"worker":3}',NULL);
INSERT INTO "events" VALUES(35,1795973788042,'repo_pushed','web',NULL,'merge-queue','{"tip":"2000d060c21c562205cbf49c35cc24daac4e9a98"}',NULL);
INSERT INTO "events" VALUES(36,1795973788048,'worker_failed','web',2,'outpost/here','{"exit_code":3,"reason":"exited with code 3","worker":3}',NULL);
INSERT INTO "events" VALUES(37,1795973788048,'item_attempt_failed','web',2,'outpost/here','{"attempt":1,"max_attempts":3,"reason":"exited with code 3","stage":"ready"}',NULL);
INSERT INTO "events" VALUES(38,1795973788048,'item_leased','web',2,'scheduler','{"attempt":2,"lease":{"outpost":"here","worker":4},"stage":"in_progress"}',NULL);
INSERT INTO "events" VALUES(39,1795973788048,'worker_assigned','web',2,'scheduler','{"attempt":2,"base":"2000d060c21c562205cbf49c35cc24daac4e9a98","gate":null,"outpost":"here","resumed":null,"role":"developer","worker":4}',NULL);
INSERT INTO "events" VALUES(40,1795973788053,'worker_accepted','web',2,'outpost/here','{"worker":4}',NULL);
INSERT INTO "events" VALUES(41,1795973788057,'worker_started','web',2,'outpost/here','{"worker":4}',NULL);
INSERT INTO "events" VALUES(42,1795973788075,'worker_exited','web',2,'outpost/here','{"exit_code":3,"worker":4}',NULL);
INSERT INTO "events" VALUES(43,1795973788091,'worker_failed','web',2,'outpost/here','{"exit_code":3,"reason":"exited with code 3","worker":4}',NULL);
INSERT INTO "events" VALUES(44,1795973788091,'item_attempt_failed','web',2,'outpost/here','{"attempt":2,"max_attempts":3,"reason":"exited with code 3","stage":"ready"}',NULL);
INSERT INTO "events" VALUES(45,1795973788092,'item_leased','web',2,'scheduler','{"attempt":3,"lease":{"outpost":"here","worker":5},"stage":"in_progress"}',NULL);
INSERT INTO "events" VALUES(46,1795973788092,'worker_assigned','web',2,'scheduler','{"attempt":3,"base":"2000d060c21c562205cbf49c35cc24daac4e9a98","gate":null,"outpost":"here","resumed":null,"role":"developer","worker":5}',NULL);
INSERT INTO "events" VALUES(47,1795973788096,'worker_accepted','web',2,'outpost/here','{"worker":5}',NULL);
INSERT INTO "events" VALUES(48,1795973788105,'worker_started','web',2,'outpost/here','{"worker":5}',NULL);
INSERT INTO "events" VALUES(49,1795973788106,'worker_exited','web',2,'outpost/here','{"exit_code":3,"worker":5}',NULL);
INSERT INTO "events" VALUES(50,1795973788115,'worker_failed','web',2,'outpost/here','{"exit_code":3,"reason":"exited with code 3","worker":5}',NULL);
INSERT INTO "events" VALUES(51,1795973788115,'item_attempt_failed','web',2,'outpost/here','{"attempt":3,"max_attempts":3,"reason":"exited with code 3","stage":"blocked"}',NULL);
INSERT INTO "events" VALUES(52,1795973788122,'item_added','web',3,'admin/local','{"kind":"feature","needs":[],"stage":"ready","title":"a feature"}','127.0.0.1:33946');
INSERT INTO "events" VALUES(53,1795973788127,'item_added','web',4,'admin/local','{"kind":"task","needs":[],"stage":"ready","title":"its part"}','127.0.0.1:33948');
INSERT INTO "events" VALUES(54,1795973788128,'item_leased','web',4,'scheduler','{"attempt":1,"lease":{"outpost":"here","worker":6},"stage":"in_progress"}',NULL);
INSERT INTO "events" VALUES(55,1795973788128,'worker_assigned','web',4,'scheduler','{"attempt":1,"base":"2000d060c21c562205cbf49c35cc24daac4e9a98","gate":null,"outpost":"here","resumed":null,"role":"developer","worker":6}',NULL);
INSERT INTO "events" VALUES(56,1795973788135,'worker_accepted','web',4,'outpost/here','{"worker":6}',NULL);
INSERT INTO "events" VALUES(57,1795973788138,'worker_started','web',4,'outpost/here','{"worker":6}',NULL);
INSERT INTO "events" VALUES(58,1795973788153,'worker_exited','web',4,'outpost/here','{"exit_code":0,"worker":6}',NULL);
INSERT INTO "events" VALUES(59,1795973788270,'worker_completed','web',4,'outpost/here','{"exit_code":0,"worker":6}',NULL);
INSERT INTO "events" VALUES(60,1795973788270,'change_queued','web',4,'outpost/here','{"attempt":1,"change":2,"direct":null,"head":"4ffdfa3445fa8337e1af208aa3d7d8475d802dbe","source":null}',NULL);
INSERT INTO "events" VALUES(61,1795973788270,'item_delivered','web',4,'outpost/here','{"attempt":1,"change":2,"stage":"merging"}',NULL);
INSERT INTO "events" VALUES(62,1795973788284,'trial_begun','web',4,'merge-queue','{"base":"2000d060c21c562205cbf49c35cc24daac4e9a98","changes":[2],"commit":"aead20b41eaaa4c2d7e145e058ee1b8919fd2294","gates":["test"],"purpose":"queue","same_as":null,"state":"gating","tree":"45d520d7fdfc9a02d1b3062bc3aac64b6a496ae2","trial":2}',NULL);
INSERT INTO "events" VALUES(63,1795973788284,'trial_gate_assigned','web',4,'scheduler','{"changes":[2],"commit":"aead20b41eaaa4c2d7e145e058ee1b8919fd2294","gate":"test","state":"gating","tree":"45d520d7fdfc9a02d1b3062bc3aac64b6a496ae2","trial":2,"worker":7}',NULL);
INSERT INTO "events" VALUES(64,1795973788284,'worker_assigned','web',NULL,'scheduler','{"attempt":null,"base":"aead20b41eaaa4c2d7e145e058ee1b8919fd2294","gate":{"gate":"test","trial":2},"outpost":"here","resumed":null,"role":"gate","worker":7}',NULL);
INSERT INTO "events" VALUES(65,1795973788292,'worker_accepted','web',NULL,'outpost/here','{"worker":7}',NULL);
INSERT INTO "events" VALUES(66,1795973788368,'worker_started','web',NULL,'outpost/here','{"worker":7}',NULL);
INSERT INTO "events" VALUES(67,1795973788375,'worker_exited','web',NULL,'outpost/here','{"exit_code":0,"worker":7}',NULL);
INSERT INTO "events" VALUES(68,1795973788377,'worker_completed','web',NULL,'outpost/here','{"exit_code":0,"worker":7}',NULL);
INSERT INTO "events" VALUES(69,1795973788377,'trial_gate_passed','web',4,'outpost/here','{"changes":[2],"commit":"aead20b41eaaa4c2d7e145e058ee1b8919fd2294","state":"passed","tree":"45d520d7fdfc9a02d1b3062bc3aac64b6a496ae2","trial":2,"verdict":{"duration_ms":3,"findings":[],"gate":"test","metrics":{},"outcome":"passed","reason":""},"worker":7}',NULL);
INSERT INTO "events" VALUES(70,1795973788388,'change_landing_begun','web',4,'merge-queue','{"candidate":{"base":"2000d060c21c562205cbf49c35cc24daac4e9a98","commit":"aead20b41eaaa4c2d7e145e058ee1b8919fd2294","gates":[{"name":"test","needs":[],"report":[],"require":[],"retries":0,"run":"true","stage":1,"timeout":"30m"}],"tree":"45d520d7fdfc9a02d1b3062bc3aac64b6a496ae2"},"change":2,"relaxed":false,"trial":2}',NULL);
INSERT INTO "events" VALUES(71,1795973788389,'change_landed','web',4,'merge-queue','{"change":2}',NULL);
INSERT INTO "events" VALUES(72,1795973788389,'item_landed','web',4,'merge-queue','{"change":2,"commit":"aead20b41eaaa4c2d7e145e058ee1b8919fd2294","stage":"done"}',NULL);
INSERT INTO "events" VALUES(73,1795973788390,'item_children_done','web',3,'pipeline','{"stage":"done"}',NULL);
INSERT INTO "events" VALUES(74,1795973788390,'trial_retired','web',4,'merge-queue','{"changes":[2],"commit":"aead20b41eaaa4c2d7e145e058ee1b8919fd2294","state":"passed","tree":"45d520d7fdfc9a02d1b3062bc3aac64b6a496ae2","trial":2}',NULL);
INSERT INTO "events" VALUES(75,1795973788391,'repo_pushing','web',NULL,'merge-queue','{"from":"2000d060c21c562205cbf49c35cc24daac4e9a98","to":"aead20b41eaaa4c2d7e145e058ee1b8919fd2294"}',NULL);
INSERT INTO "events" VALUES(76,1795973788398,'item_added','web',5,'admin/local','{"kind":"task","needs":[2],"stage":"ready","title":"needs the failed one"}','127.0.0.1:33970');
INSERT INTO "events" VALUES(77,1795973788407,'item_added','web',6,'admin/local','{"kind":"task","needs":[],"stage":"ready","title":"long"}','127.0.0.1:33982');
INSERT INTO "events" VALUES(78,1795973788411,'item_leased','web',6,'scheduler','{"attempt":1,"lease":{"outpost":"here","worker":8},"stage":"in_progress"}',NULL);
INSERT INTO "events" VALUES(79,1795973788411,'worker_assigned','web',6,'scheduler','{"attempt":1,"base":"aead20b41eaaa4c2d7e145e058ee1b8919fd2294","gate":null,"outpost":"here","resumed":null,"role":"developer","worker":8}',NULL);
INSERT INTO "events" VALUES(80,1795973788416,'repo_pushed','web',NULL,'merge-queue','{"tip":"aead20b41eaaa4c2d7e145e058ee1b8919fd2294"}',NULL);
INSERT INTO "events" VALUES(81,1795973788417,'worker_accepted','web',6,'outpost/here','{"worker":8}',NULL);
INSERT INTO "events" VALUES(82,1795973788426,'worker_started','web',6,'outpost/here','{"worker":8}',NULL);
INSERT INTO "events" VALUES(83,1795973790422,'item_added','web',7,'admin/local','{"kind":"task","needs":[],"stage":"ready","title":"waits"}','127.0.0.1:33986');
INSERT INTO "events" VALUES(84,1795973797472,'token_created',NULL,NULL,'admin/local','{"expires_at":"2027-02-27T17:36:37.472Z","kind":"viewer","name":"guest","token":"3d904d6c"}','127.0.0.1:40606');
INSERT INTO "events" VALUES(85,1795973797528,'outpost_disconnected',NULL,NULL,'supervisor','{"outpost":"here"}',NULL);
CREATE TABLE "items" (
  id integer primary key,
  repo text not null,
  kind text not null,
  stage text not null,
  parent bigint,
  body text not null
);
INSERT INTO "items" VALUES(1,'web','task','done',NULL,'{"id":1,"repo":"web","kind":"task","title":"one","description":"","acceptance":["a file of its own"],"priority":"medium","labels":[],"requires":{},"parent":null,"needs":[],"run":null,"stage":"done","commit":"2000d060c21c562205cbf49c35cc24daac4e9a98","attempt":1,"failures":0,"losses":0,"not_before":null,"conflict":null,"feedback":[],"created_at":"2026-11-29T17:36:27.673Z","updated_at":"2026-11-29T17:36:28.000Z","stage_since":"2026-11-29T17:36:28.000Z"}');
INSERT INTO "items" VALUES(2,'web','task','blocked',NULL,'{"id":2,"repo":"web","kind":"task","title":"fails","description":"","acceptance":[],"priority":"medium","labels":[],"requires":{},"parent":null,"needs":[],"run":"exit 3","stage":"blocked","reason":"attempt 3 of 3 failed: exited with code 3","attempt":3,"failures":3,"losses":0,"not_before":null,"conflict":null,"feedback":[{"attempt":1,"text":"exited with code 3"},{"attempt":2,"text":"exited with code 3"},{"attempt":3,"text":"exited with code 3"}],"created_at":"2026-11-29T17:36:28.007Z","updated_at":"2026-11-29T17:36:28.115Z","stage_since":"2026-11-29T17:36:28.115Z"}');
INSERT INTO "items" VALUES(3,'web','feature','done',NULL,'{"id":3,"repo":"web","kind":"feature","title":"a feature","description":"","acceptance":[],"priority":"medium","labels":[],"requires":{},"parent":null,"needs":[],"run":null,"stage":"done","commit":null,"attempt":0,"failures":0,"losses":0,"not_before":null,"conflict":null,"feedback":[],"created_at":"2026-11-29T17:36:28.122Z","updated_at":"2026-11-29T17:36:28.390Z","stage_since":"2026-11-29T17:36:28.390Z"}');
INSERT INTO "items" VALUES(4,'web','task','done',3,'{"id":4,"repo":"web","kind":"task","title":"its part","description":"","acceptance":[],"priority":"medium","labels":[],"requires":{},"parent":3,"needs":[],"run":null,"stage":"done","commit":"aead20b41eaaa4c2d7e145e058ee1b8919fd2294","attempt":1,"failures":0,"losses":0,"not_before":null,"conflict":null,"feedback":[],"created_at":"2026-11-29T17:36:28.127Z","updated_at":"2026-11-29T17:36:28.389Z","stage_since":"2026-11-29T17:36:28.389Z"}');
INSERT INTO "items" VALUES(5,'web','task','ready',NULL,'{"id":5,"repo":"web","kind":"task","title":"needs the failed one","description":"","acceptance":[],"priority":"medium","labels":[],"requires":{},"parent":null,"needs":[2],"run":null,"stage":"ready","attempt":0,"failures":0,"losses":0,"not_before":null,"conflict":null,"feedback":[],"created_at":"2026-11-29T17:36:28.398Z","updated_at":"2026-11-29T17:36:28.398Z","stage_since":"2026-11-29T17:36:28.398Z"}');
INSERT INTO "items" VALUES(6,'web','task','in_progress',NULL,'{"id":6,"repo":"web","kind":"task","title":"long","description":"","acceptance":[],"priority":"medium","labels":[],"requires":{},"parent":null,"needs":[],"run":"sleep 3000","stage":"in_progress","lease":{"worker":8,"outpost":"here"},"attempt":1,"failures":0,"losses":0,"not_before":null,"conflict":null,"feedback":[],"created_at":"2026-11-29T17:36:28.407Z","updated_at":"2026-11-29T17:36:28.411Z","stage_since":"2026-11-29T17:36:28.411Z"}');
INSERT INTO "items" VALUES(7,'web','task','ready',NULL,'{"id":7,"repo":"web","kind":"task","title":"waits","description":"","acceptance":[],"priority":"medium","labels":["later"],"requires":{},"parent":null,"needs":[],"run":null,"stage":"ready","attempt":0,"failures":0,"losses":0,"not_before":null,"conflict":null,"feedback":[],"created_at":"2026-11-29T17:36:30.422Z","updated_at":"2026-11-29T17:36:30.422Z","stage_since":"2026-11-29T17:36:30.422Z"}');
CREATE TABLE outposts (
  name text primary key,
  body text not null
);
INSERT INTO "outposts" VALUES('here','{"name":"here","key":"843785595f314b6788aa6bb72b4505850019fe9f98ec632980e1011a6eede700","labels":{"sandbox":"landlock-abi7+namespace"},"max_workers":1,"state":"offline","version":"0.1.0","draining":false,"paused":null,"disconnect_grace":null,"joined_at":"2026-11-29T17:36:08.832Z","last_seen":"2026-11-29T17:36:37.528Z"}');
CREATE TABLE repos (
  name text primary key,
  body text not null
);
INSERT INTO "repos" VALUES('web','{"name":"web","url":"/srv/sample/up","branch":"main","run":{"developer":"echo $SPRINT_ITEM > f$SPRINT_ITEM; git add -A; git commit -qm work"},"runtimes":{},"gates":[{"name":"test","run":"true","timeout":"30m","retries":0,"stage":1,"needs":[],"report":[],"require":[]}],"max_attempts":3,"limits":{},"halted":null,"frozen":null,"resume":"clean","max_duration":"2h","hung_after":"5m","pushing":null,"created_at":"2026-11-29T17:36:10.866Z"}');
CREATE TABLE "sequences" (
  name text primary key,
  next bigint not null
);
CREATE TABLE tokens (
  id text primary key,
  body text not null
);
INSERT INTO "tokens" VALUES('823f513b','{"id":"823f513b","proof":{"key":"31ecde4e5de25d22bc667ba2f8e9229bfa073a664ec5e7ef5f0628102ee8126a"},"grant":{"grants":"access","role":"admin","name":"local"},"expires_at":"2046-11-24T17:36:06.835Z","created_at":"2026-11-29T17:36:06.835Z","created_by":"coordinator","revoked_at":null}');
INSERT INTO "tokens" VALUES('f126f285','{"id":"f126f285","proof":{"secret":"ebe181f3387579a327402d0400905ba3ab46ba6c5b089d57eaca40bdeab2f137"},"grant":{"grants":"join","uses":1,"used":1,"name_prefix":""},"expires_at":"2026-11-29T18:36:08.813Z","created_at":"2026-11-29T17:36:08.813Z","created_by":"admin/local","revoked_at":null}');
INSERT INTO "tokens" VALUES('3d904d6c','{"id":"3d904d6c","proof":{"secret":"4d3a1fc5856b695c2861db8f3551db99ee61d29da0dacfae2eed917a99abde1e"},"grant":{"grants":"access","role":"viewer","name":"guest"},"expires_at":"2027-02-27T17:36:37.472Z","created_at":"2026-11-29T17:36:37.472Z","created_by":"admin/local","revoked_at":null}');
CREATE TABLE "trials" (
  id integer primary key,
  repo text not null,
  tree text not null,
  state text not null,
  -- 1 when it cannot matter any more.
  retired bigint not null,
  body text not null
);
INSERT INTO "trials" VALUES(1,'web','4f34dba741d17959f764f927f84322cfe180665c','passed',1,'{"id":1,"repo":"web","purpose":"queue","members":[{"change":1,"item":1,"attempt":1,"head":"e18e49fae1433f98ade3b0acfad6708f2e7ef029"}],"commit":"2000d060c21c562205cbf49c35cc24daac4e9a98","tree":"4f34dba741d17959f764f927f84322cfe180665c","base":"ce8185688b6e5e98b79a861e03b7a04ae80d0788","gates":[{"name":"test","run":"true","timeout":"30m","retries":0,"stage":1,"needs":[],"report":[],"require":[]}],"runs":[{"gate":{"name":"test","run":"true","timeout":"30m","retries":0,"stage":1,"needs":[],"report":[],"require":[]},"run":"passed","failures":0,"losses":0,"excuses":0,"avoid":[],"flaky":false,"verdict":{"gate":"test","outcome":"passed","reason":"","metrics":{},"findings":[],"duration_ms":2}}],"state":"passed","confirming":false,"same_as":null,"retired":true,"created_at":"2026-11-29T17:36:27.897Z","updated_at":"2026-11-29T17:36:28.002Z"}');
INSERT INTO "trials" VALUES(2,'web','45d520d7fdfc9a02d1b3062bc3aac64b6a496ae2','passed',1,'{"id":2,"repo":"web","purpose":"queue","members":[{"change":2,"item":4,"attempt":1,"head":"4ffdfa3445fa8337e1af208aa3d7d8475d802dbe"}],"commit":"aead20b41eaaa4c2d7e145e058ee1b8919fd2294","tree":"45d520d7fdfc9a02d1b3062bc3aac64b6a496ae2","base":"2000d060c21c562205cbf49c35cc24daac4e9a98","gates":[{"name":"test","run":"true","timeout":"30m","retries":0,"stage":1,"needs":[],"report":[],"require":[]}],"runs":[{"gate":{"name":"test","run":"true","timeout":"30m","retries":0,"stage":1,"needs":[],"report":[],"require":[]},"run":"passed","failures":0,"losses":0,"excuses":0,"avoid":[],"flaky":false,"verdict":{"gate":"test","outcome":"passed","reason":"","metrics":{},"findings":[],"duration_ms":3}}],"state":"passed","confirming":false,"same_as":null,"retired":true,"created_at":"2026-11-29T17:36:28.284Z","updated_at":"2026-11-29T17:36:28.390Z"}');
CREATE TABLE "workers" (
  id integer primary key,
  item bigint,
  repo text not null,
  role text not null,
  outpost text not null,
  state text not null,
  -- 1 while it holds a slot.
  live bigint not null,
  body text not null
);
INSERT INTO "workers" VALUES(1,1,'web','developer','here','done',0,'{"id":1,"repo":"web","job":{"kind":"attempt","item":1,"attempt":1,"role":"developer"},"outpost":"here","state":"done","exit_code":0,"base":"ce8185688b6e5e98b79a861e03b7a04ae80d0788","resumed":null,"stop_reason":null,"terminal":null,"assigned_at":"2026-11-29T17:36:27.674Z","started_at":"2026-11-29T17:36:27.773Z","ended_at":"2026-11-29T17:36:27.876Z","report_seq":4,"log_bytes":0}');
INSERT INTO "workers" VALUES(2,NULL,'web','gate','here','done',0,'{"id":2,"repo":"web","job":{"kind":"gate","trial":1,"gate":"test"},"outpost":"here","state":"done","exit_code":0,"base":"2000d060c21c562205cbf49c35cc24daac4e9a98","resumed":null,"stop_reason":null,"terminal":null,"assigned_at":"2026-11-29T17:36:27.897Z","started_at":"2026-11-29T17:36:27.981Z","ended_at":"2026-11-29T17:36:27.988Z","report_seq":4,"log_bytes":0}');
INSERT INTO "workers" VALUES(3,2,'web','developer','here','failed',0,'{"id":3,"repo":"web","job":{"kind":"attempt","item":2,"attempt":1,"role":"developer"},"outpost":"here","state":"failed","exit_code":3,"reason":"exited with code 3","base":"2000d060c21c562205cbf49c35cc24daac4e9a98","resumed":null,"stop_reason":null,"terminal":null,"assigned_at":"2026-11-29T17:36:28.007Z","started_at":"2026-11-29T17:36:28.026Z","ended_at":"2026-11-29T17:36:28.048Z","report_seq":4,"log_bytes":0}');
INSERT INTO "workers" VALUES(4,2,'web','developer','here','failed',0,'{"id":4,"repo":"web","job":{"kind":"attempt","item":2,"attempt":2,"role":"developer"},"outpost":"here","state":"failed","exit_code":3,"reason":"exited with code 3","base":"2000d060c21c562205cbf49c35cc24daac4e9a98","resumed":null,"stop_reason":null,"terminal":null,"assigned_at":"2026-11-29T17:36:28.048Z","started_at":"2026-11-29T17:36:28.057Z","ended_at":"2026-11-29T17:36:28.091Z","report_seq":4,"log_bytes":0}');
INSERT INTO "workers" VALUES(5,2,'web','developer','here','failed',0,'{"id":5,"repo":"web","job":{"kind":"attempt","item":2,"attempt":3,"role":"developer"},"outpost":"here","state":"failed","exit_code":3,"reason":"exited with code 3","base":"2000d060c21c562205cbf49c35cc24daac4e9a98","resumed":null,"stop_reason":null,"terminal":null,"assigned_at":"2026-11-29T17:36:28.092Z","started_at":"2026-11-29T17:36:28.105Z","ended_at":"2026-11-29T17:36:28.115Z","report_seq":4,"log_bytes":0}');
INSERT INTO "workers" VALUES(6,4,'web','developer','here','done',0,'{"id":6,"repo":"web","job":{"kind":"attempt","item":4,"attempt":1,"role":"developer"},"outpost":"here","state":"done","exit_code":0,"base":"2000d060c21c562205cbf49c35cc24daac4e9a98","resumed":null,"stop_reason":null,"terminal":null,"assigned_at":"2026-11-29T17:36:28.128Z","started_at":"2026-11-29T17:36:28.138Z","ended_at":"2026-11-29T17:36:28.270Z","report_seq":4,"log_bytes":0}');
INSERT INTO "workers" VALUES(7,NULL,'web','gate','here','done',0,'{"id":7,"repo":"web","job":{"kind":"gate","trial":2,"gate":"test"},"outpost":"here","state":"done","exit_code":0,"base":"aead20b41eaaa4c2d7e145e058ee1b8919fd2294","resumed":null,"stop_reason":null,"terminal":null,"assigned_at":"2026-11-29T17:36:28.284Z","started_at":"2026-11-29T17:36:28.368Z","ended_at":"2026-11-29T17:36:28.377Z","report_seq":4,"log_bytes":0}');
INSERT INTO "workers" VALUES(8,6,'web','developer','here','running',1,'{"id":8,"repo":"web","job":{"kind":"attempt","item":6,"attempt":1,"role":"developer"},"outpost":"here","state":"running","base":"aead20b41eaaa4c2d7e145e058ee1b8919fd2294","resumed":null,"stop_reason":null,"terminal":{"boot_id":"de58017a-b498-475b-a8e7-553e75d01e26","tmux_socket":"/srv/sample/o/tmux.sock","tmux_session":"w8"},"assigned_at":"2026-11-29T17:36:28.411Z","started_at":"2026-11-29T17:36:28.426Z","ended_at":null,"report_seq":2,"log_bytes":null}');
CREATE INDEX items_by_parent on items (parent) where parent is not null;
CREATE INDEX workers_live on workers (outpost, repo, role) where live = 1;
CREATE INDEX workers_by_item on workers (item);
CREATE INDEX changes_pending on changes (repo, id) where pending = 1;
CREATE INDEX changes_by_item on changes (item);
CREATE INDEX trials_by_tree on trials (repo, tree);
CREATE INDEX trials_live on trials (repo, id) where retired = 0;
CREATE INDEX events_by_item on events (item, seq) where item is not null;
CREATE INDEX events_audit on events (seq) where origin is not null;
COMMIT;
