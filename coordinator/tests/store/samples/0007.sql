BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version bigint primary key,
    description text not null,
    installed_on timestamp not null default current_timestamp,
    success boolean not null,
    checksum blob not null,
    execution_time bigint not null
);
INSERT INTO "_sqlx_migrations" VALUES(1,'the record','2026-11-29 10:19:24',1,X'DA6FCC050F9BD8CACBC6C2D04008110677E3709796638CC60E2EF82813FFBD7CF00B004B94FFBB95FD102F5E1311DF73',0);
INSERT INTO "_sqlx_migrations" VALUES(2,'identity','2026-11-29 10:19:24',1,X'0D07F71AA4094ACDD0F4AA982B05B8636CAB78766E5A9E251CFB44F4E15317021406D374D1379BEE2EF3B9935563C685',0);
INSERT INTO "_sqlx_migrations" VALUES(3,'floors','2026-11-29 10:19:24',1,X'4332E00F0CDFB06CC18CD5724373246E22B85FA779B2BE4539383597901234B2BA9D835FFCCA3EC8D5CC66D1307B3301',0);
INSERT INTO "_sqlx_migrations" VALUES(4,'live workers','2026-11-29 10:19:24',1,X'6AD2DF1D59FE3B70EE73AB5E84E2823F97259ADED6D48118DBB48471266A27B9616BB04EB2307CD7056538C8566039CB',0);
INSERT INTO "_sqlx_migrations" VALUES(5,'trials','2026-11-29 10:19:24',1,X'BD2ECF99F34A3523C2A700E33542B8631D92AECB1A85C0A14720FA081F080B2342BDD0C33C7C9C318E3A5CC2C5155037',0);
INSERT INTO "_sqlx_migrations" VALUES(6,'sequences','2026-11-29 10:19:24',1,X'FB690C626E506BC913D122968B547097658D707BE62CF57FA95D747274A0427EC23B41C18E28CE3B3E7E3E57DB642178',0);
INSERT INTO "_sqlx_migrations" VALUES(7,'jobs','2026-11-29 10:19:24',1,X'9B8302650DA4B089BAC9D711E5FDE00D891018464B3C9C74FB124462482ECB85D2EFE0AB1D0A9C6D0D649D113188784C',0);
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
INSERT INTO "changes" VALUES(1,'web',1,'landed',0,'{"id":1,"repo":"web","item":1,"attempt":1,"head":"565ee1a22151935882321554e6de8da37383706e","role":"developer","source":null,"direct":null,"state":"landed","candidate":{"commit":"eeda267998daf0fb98f8986989571158d5e8fec2","tree":"5a41f87d4140718649de0f03d8d75e5b3b25d0d5","base":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","gates":[{"name":"test","run":"true","timeout":"30m","retries":0,"stage":1,"needs":[],"report":[],"require":[]}]},"created_at":"2026-11-29T10:19:29.213Z","updated_at":"2026-11-29T10:19:29.332Z"}');
INSERT INTO "changes" VALUES(2,'web',5,'landed',0,'{"id":2,"repo":"web","item":5,"attempt":1,"head":"8d0714ea40011dbfd8484591bd92db90b340d3cd","role":"developer","source":null,"direct":null,"state":"landed","candidate":{"commit":"8f8d603876cda822f88d15add5cb5a0cee469a25","tree":"a1c5bdcc69c812db73273dd91a1fd28fab037bd8","base":"eeda267998daf0fb98f8986989571158d5e8fec2","gates":[{"name":"test","run":"true","timeout":"30m","retries":0,"stage":1,"needs":[],"report":[],"require":[]}]},"created_at":"2026-11-29T10:19:29.486Z","updated_at":"2026-11-29T10:19:29.593Z"}');
CREATE TABLE events (
  seq bigint primary key,
  time_ms bigint not null,
  kind text not null,
  repo text,
  item bigint,
  actor text not null,
  data text not null
, origin text);
INSERT INTO "events" VALUES(1,1795947564882,'token_created',NULL,NULL,'coordinator','{"expires_at":"2046-11-24T10:19:24.882Z","kind":"admin","name":"local","token":"469c50ad"}',NULL);
INSERT INTO "events" VALUES(2,1795947566868,'token_created',NULL,NULL,'admin/local','{"expires_at":"2026-11-29T11:19:26.868Z","kind":"outpost","name_prefix":"","token":"012ffbe4","used":0,"uses":1}','127.0.0.1:49720');
INSERT INTO "events" VALUES(3,1795947566909,'outpost_joined',NULL,NULL,'outpost/here','{"key":"171b14068f08da50f7d5f3f2241b4de207fd95fe3752d28972044184cfa8383b","outpost":"here","token":"012ffbe4"}','127.0.0.1:49728');
INSERT INTO "events" VALUES(4,1795947566909,'token_used',NULL,NULL,'outpost/here','{"key":"171b14068f08da50f7d5f3f2241b4de207fd95fe3752d28972044184cfa8383b","outpost":"here","token":"012ffbe4"}','127.0.0.1:49728');
INSERT INTO "events" VALUES(5,1795947566924,'outpost_connected',NULL,NULL,'outpost/here','{"max_workers":1,"outpost":"here","workers":0}',NULL);
INSERT INTO "events" VALUES(6,1795947568924,'repo_added','web',NULL,'admin/local','{"branch":"main","url":"/srv/sample/up"}','127.0.0.1:49750');
INSERT INTO "events" VALUES(7,1795947568932,'item_added','web',1,'admin/local','{"kind":"task","needs":[],"stage":"ready","title":"one"}','127.0.0.1:49754');
INSERT INTO "events" VALUES(8,1795947568933,'item_leased','web',1,'scheduler','{"attempt":1,"lease":{"outpost":"here","worker":1},"stage":"in_progress"}',NULL);
INSERT INTO "events" VALUES(9,1795947568933,'worker_assigned','web',1,'scheduler','{"attempt":1,"base":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","gate":null,"outpost":"here","resumed":null,"role":"developer","worker":1}',NULL);
INSERT INTO "events" VALUES(10,1795947568939,'worker_accepted','web',1,'outpost/here','{"worker":1}',NULL);
INSERT INTO "events" VALUES(11,1795947569088,'worker_started','web',1,'outpost/here','{"worker":1}',NULL);
INSERT INTO "events" VALUES(12,1795947569098,'worker_exited','web',1,'outpost/here','{"exit_code":0,"worker":1}',NULL);
INSERT INTO "events" VALUES(13,1795947569213,'worker_completed','web',1,'outpost/here','{"exit_code":0,"worker":1}',NULL);
INSERT INTO "events" VALUES(14,1795947569213,'change_queued','web',1,'outpost/here','{"attempt":1,"change":1,"direct":null,"head":"565ee1a22151935882321554e6de8da37383706e","source":null}',NULL);
INSERT INTO "events" VALUES(15,1795947569213,'item_delivered','web',1,'outpost/here','{"attempt":1,"change":1,"stage":"merging"}',NULL);
INSERT INTO "events" VALUES(16,1795947569231,'trial_begun','web',1,'merge-queue','{"base":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","changes":[1],"commit":"eeda267998daf0fb98f8986989571158d5e8fec2","gates":["test"],"purpose":"queue","same_as":null,"state":"gating","tree":"5a41f87d4140718649de0f03d8d75e5b3b25d0d5","trial":1}',NULL);
INSERT INTO "events" VALUES(17,1795947569231,'trial_gate_assigned','web',1,'scheduler','{"changes":[1],"commit":"eeda267998daf0fb98f8986989571158d5e8fec2","gate":"test","state":"gating","tree":"5a41f87d4140718649de0f03d8d75e5b3b25d0d5","trial":1,"worker":2}',NULL);
INSERT INTO "events" VALUES(18,1795947569231,'worker_assigned','web',NULL,'scheduler','{"attempt":null,"base":"eeda267998daf0fb98f8986989571158d5e8fec2","gate":{"gate":"test","trial":1},"outpost":"here","resumed":null,"role":"gate","worker":2}',NULL);
INSERT INTO "events" VALUES(19,1795947569236,'worker_accepted','web',NULL,'outpost/here','{"worker":2}',NULL);
INSERT INTO "events" VALUES(20,1795947569312,'worker_started','web',NULL,'outpost/here','{"worker":2}',NULL);
INSERT INTO "events" VALUES(21,1795947569319,'worker_exited','web',NULL,'outpost/here','{"exit_code":0,"worker":2}',NULL);
INSERT INTO "events" VALUES(22,1795947569322,'worker_completed','web',NULL,'outpost/here','{"exit_code":0,"worker":2}',NULL);
INSERT INTO "events" VALUES(23,1795947569322,'trial_gate_passed','web',1,'outpost/here','{"changes":[1],"commit":"eeda267998daf0fb98f8986989571158d5e8fec2","state":"passed","tree":"5a41f87d4140718649de0f03d8d75e5b3b25d0d5","trial":1,"verdict":{"duration_ms":4,"findings":[],"gate":"test","metrics":{},"outcome":"passed","reason":""},"worker":2}',NULL);
INSERT INTO "events" VALUES(24,1795947569331,'change_landing_begun','web',1,'merge-queue','{"candidate":{"base":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","commit":"eeda267998daf0fb98f8986989571158d5e8fec2","gates":[{"name":"test","needs":[],"report":[],"require":[],"retries":0,"run":"true","stage":1,"timeout":"30m"}],"tree":"5a41f87d4140718649de0f03d8d75e5b3b25d0d5"},"change":1,"relaxed":false,"trial":1}',NULL);
INSERT INTO "events" VALUES(25,1795947569332,'change_landed','web',1,'merge-queue','{"change":1}',NULL);
INSERT INTO "events" VALUES(26,1795947569332,'item_landed','web',1,'merge-queue','{"change":1,"commit":"eeda267998daf0fb98f8986989571158d5e8fec2","stage":"done"}',NULL);
INSERT INTO "events" VALUES(27,1795947569332,'trial_retired','web',1,'merge-queue','{"changes":[1],"commit":"eeda267998daf0fb98f8986989571158d5e8fec2","state":"passed","tree":"5a41f87d4140718649de0f03d8d75e5b3b25d0d5","trial":1}',NULL);
INSERT INTO "events" VALUES(28,1795947569333,'repo_pushing','web',NULL,'merge-queue','{"from":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","to":"eeda267998daf0fb98f8986989571158d5e8fec2"}',NULL);
INSERT INTO "events" VALUES(29,1795947569338,'item_added','web',2,'admin/local','{"kind":"task","needs":[],"stage":"inbox","title":"two"}','127.0.0.1:49794');
INSERT INTO "events" VALUES(30,1795947569343,'item_cancelled','web',2,'admin/local','{"reason":"cancelled by the overseer","stage":"cancelled"}','127.0.0.1:49802');
INSERT INTO "events" VALUES(31,1795947569348,'item_added','web',3,'admin/local','{"kind":"task","needs":[1],"stage":"inbox","title":"needs a cancelled one"}','127.0.0.1:49816');
INSERT INTO "events" VALUES(32,1795947569357,'item_edited','web',3,'admin/local','{"changed":["needs"]}','127.0.0.1:49818');
INSERT INTO "events" VALUES(33,1795947569363,'repo_push_lost','web',NULL,'merge-queue','{"found":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","tip":"eeda267998daf0fb98f8986989571158d5e8fec2"}',NULL);
INSERT INTO "events" VALUES(34,1795947569364,'repo_pushing','web',NULL,'merge-queue','{"from":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","to":"eeda267998daf0fb98f8986989571158d5e8fec2"}',NULL);
INSERT INTO "events" VALUES(35,1795947569367,'item_added','web',4,'admin/local','{"kind":"feature","needs":[],"stage":"ready","title":"a feature"}','127.0.0.1:49834');
INSERT INTO "events" VALUES(36,1795947569374,'item_added','web',5,'admin/local','{"kind":"task","needs":[],"stage":"ready","title":"its part"}','127.0.0.1:49838');
INSERT INTO "events" VALUES(37,1795947569379,'item_leased','web',5,'scheduler','{"attempt":1,"lease":{"outpost":"here","worker":3},"stage":"in_progress"}',NULL);
INSERT INTO "events" VALUES(38,1795947569379,'worker_assigned','web',5,'scheduler','{"attempt":1,"base":"eeda267998daf0fb98f8986989571158d5e8fec2","gate":null,"outpost":"here","resumed":null,"role":"developer","worker":3}',NULL);
INSERT INTO "events" VALUES(39,1795947569386,'worker_accepted','web',5,'outpost/here','{"worker":3}',NULL);
INSERT INTO "events" VALUES(40,1795947569390,'worker_started','web',5,'outpost/here','{"worker":3}',NULL);
INSERT INTO "events" VALUES(41,1795947569399,'worker_exited','web',5,'outpost/here','{"exit_code":0,"worker":3}',NULL);
INSERT INTO "events" VALUES(42,1795947569486,'worker_completed','web',5,'outpost/here','{"exit_code":0,"worker":3}',NULL);
INSERT INTO "events" VALUES(43,1795947569486,'change_queued','web',5,'outpost/here','{"attempt":1,"change":2,"direct":null,"head":"8d0714ea40011dbfd8484591bd92db90b340d3cd","source":null}',NULL);
INSERT INTO "events" VALUES(44,1795947569486,'item_delivered','web',5,'outpost/here','{"attempt":1,"change":2,"stage":"merging"}',NULL);
INSERT INTO "events" VALUES(45,1795947569498,'trial_begun','web',5,'merge-queue','{"base":"eeda267998daf0fb98f8986989571158d5e8fec2","changes":[2],"commit":"8f8d603876cda822f88d15add5cb5a0cee469a25","gates":["test"],"purpose":"queue","same_as":null,"state":"gating","tree":"a1c5bdcc69c812db73273dd91a1fd28fab037bd8","trial":2}',NULL);
INSERT INTO "events" VALUES(46,1795947569499,'trial_gate_assigned','web',5,'scheduler','{"changes":[2],"commit":"8f8d603876cda822f88d15add5cb5a0cee469a25","gate":"test","state":"gating","tree":"a1c5bdcc69c812db73273dd91a1fd28fab037bd8","trial":2,"worker":4}',NULL);
INSERT INTO "events" VALUES(47,1795947569499,'worker_assigned','web',NULL,'scheduler','{"attempt":null,"base":"8f8d603876cda822f88d15add5cb5a0cee469a25","gate":{"gate":"test","trial":2},"outpost":"here","resumed":null,"role":"gate","worker":4}',NULL);
INSERT INTO "events" VALUES(48,1795947569505,'worker_accepted','web',NULL,'outpost/here','{"worker":4}',NULL);
INSERT INTO "events" VALUES(49,1795947569511,'repo_push_lost','web',NULL,'merge-queue','{"found":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","tip":"eeda267998daf0fb98f8986989571158d5e8fec2"}',NULL);
INSERT INTO "events" VALUES(50,1795947569511,'repo_pushing','web',NULL,'merge-queue','{"from":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","to":"eeda267998daf0fb98f8986989571158d5e8fec2"}',NULL);
INSERT INTO "events" VALUES(51,1795947569579,'worker_started','web',NULL,'outpost/here','{"worker":4}',NULL);
INSERT INTO "events" VALUES(52,1795947569582,'worker_exited','web',NULL,'outpost/here','{"exit_code":0,"worker":4}',NULL);
INSERT INTO "events" VALUES(53,1795947569582,'worker_completed','web',NULL,'outpost/here','{"exit_code":0,"worker":4}',NULL);
INSERT INTO "events" VALUES(54,1795947569582,'trial_gate_passed','web',5,'outpost/here','{"changes":[2],"commit":"8f8d603876cda822f88d15add5cb5a0cee469a25","state":"passed","tree":"a1c5bdcc69c812db73273dd91a1fd28fab037bd8","trial":2,"verdict":{"duration_ms":2,"findings":[],"gate":"test","metrics":{},"outcome":"passed","reason":""},"worker":4}',NULL);
INSERT INTO "events" VALUES(55,1795947569591,'change_landing_begun','web',5,'merge-queue','{"candidate":{"base":"eeda267998daf0fb98f8986989571158d5e8fec2","commit":"8f8d603876cda822f88d15add5cb5a0cee469a25","gates":[{"name":"test","needs":[],"report":[],"require":[],"retries":0,"run":"true","stage":1,"timeout":"30m"}],"tree":"a1c5bdcc69c812db73273dd91a1fd28fab037bd8"},"change":2,"relaxed":false,"trial":2}',NULL);
INSERT INTO "events" VALUES(56,1795947569593,'change_landed','web',5,'merge-queue','{"change":2}',NULL);
INSERT INTO "events" VALUES(57,1795947569593,'item_landed','web',5,'merge-queue','{"change":2,"commit":"8f8d603876cda822f88d15add5cb5a0cee469a25","stage":"done"}',NULL);
INSERT INTO "events" VALUES(58,1795947569593,'trial_retired','web',5,'merge-queue','{"changes":[2],"commit":"8f8d603876cda822f88d15add5cb5a0cee469a25","state":"passed","tree":"a1c5bdcc69c812db73273dd91a1fd28fab037bd8","trial":2}',NULL);
INSERT INTO "events" VALUES(59,1795947569594,'item_children_done','web',4,'pipeline','{"stage":"done"}',NULL);
INSERT INTO "events" VALUES(60,1795947569599,'item_added','web',6,'admin/local','{"kind":"task","needs":[],"stage":"ready","title":"long"}','127.0.0.1:49886');
INSERT INTO "events" VALUES(61,1795947569600,'item_leased','web',6,'scheduler','{"attempt":1,"lease":{"outpost":"here","worker":5},"stage":"in_progress"}',NULL);
INSERT INTO "events" VALUES(62,1795947569600,'worker_assigned','web',6,'scheduler','{"attempt":1,"base":"8f8d603876cda822f88d15add5cb5a0cee469a25","gate":null,"outpost":"here","resumed":null,"role":"developer","worker":5}',NULL);
INSERT INTO "events" VALUES(63,1795947569606,'repo_push_lost','web',NULL,'merge-queue','{"found":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","tip":"eeda267998daf0fb98f8986989571158d5e8fec2"}',NULL);
INSERT INTO "events" VALUES(64,1795947569606,'worker_accepted','web',6,'outpost/here','{"worker":5}',NULL);
INSERT INTO "events" VALUES(65,1795947569608,'repo_pushing','web',NULL,'merge-queue','{"from":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","to":"8f8d603876cda822f88d15add5cb5a0cee469a25"}',NULL);
INSERT INTO "events" VALUES(66,1795947569613,'worker_started','web',6,'outpost/here','{"worker":5}',NULL);
INSERT INTO "events" VALUES(67,1795947569634,'repo_push_lost','web',NULL,'merge-queue','{"found":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","tip":"8f8d603876cda822f88d15add5cb5a0cee469a25"}',NULL);
INSERT INTO "events" VALUES(68,1795947569635,'repo_pushing','web',NULL,'merge-queue','{"from":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","to":"8f8d603876cda822f88d15add5cb5a0cee469a25"}',NULL);
INSERT INTO "events" VALUES(69,1795947570606,'item_added','web',7,'admin/local','{"kind":"task","needs":[],"stage":"ready","title":"waits"}','127.0.0.1:49900');
INSERT INTO "events" VALUES(70,1795947574896,'repo_push_lost','web',NULL,'merge-queue','{"found":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","tip":"8f8d603876cda822f88d15add5cb5a0cee469a25"}',NULL);
INSERT INTO "events" VALUES(71,1795947574897,'repo_pushing','web',NULL,'merge-queue','{"from":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","to":"8f8d603876cda822f88d15add5cb5a0cee469a25"}',NULL);
INSERT INTO "events" VALUES(72,1795947584897,'repo_push_lost','web',NULL,'merge-queue','{"found":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","tip":"8f8d603876cda822f88d15add5cb5a0cee469a25"}',NULL);
INSERT INTO "events" VALUES(73,1795947584897,'repo_pushing','web',NULL,'merge-queue','{"from":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","to":"8f8d603876cda822f88d15add5cb5a0cee469a25"}',NULL);
INSERT INTO "events" VALUES(74,1795947594898,'repo_push_lost','web',NULL,'merge-queue','{"found":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","tip":"8f8d603876cda822f88d15add5cb5a0cee469a25"}',NULL);
INSERT INTO "events" VALUES(75,1795947594899,'repo_pushing','web',NULL,'merge-queue','{"from":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","to":"8f8d603876cda822f88d15add5cb5a0cee469a25"}',NULL);
INSERT INTO "events" VALUES(76,1795947602334,'item_readied','web',3,'admin/local','{"stage":"ready"}','127.0.0.1:54918');
INSERT INTO "events" VALUES(77,1795947603339,'outpost_disconnected',NULL,NULL,'supervisor','{"outpost":"here"}',NULL);
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
INSERT INTO "items" VALUES(1,'web','task','done',NULL,1795945768932,'{"id":1,"repo":"web","kind":"task","title":"one","description":"","acceptance":[],"priority":"medium","labels":[],"requires":{},"parent":null,"needs":[],"run":null,"stage":"done","commit":"eeda267998daf0fb98f8986989571158d5e8fec2","attempt":1,"failures":0,"losses":0,"not_before":null,"conflict":null,"feedback":[],"created_at":"2026-11-29T10:19:28.932Z","updated_at":"2026-11-29T10:19:29.332Z"}');
INSERT INTO "items" VALUES(2,'web','task','cancelled',NULL,1795945769338,'{"id":2,"repo":"web","kind":"task","title":"two","description":"","acceptance":[],"priority":"medium","labels":[],"requires":{},"parent":null,"needs":[],"run":null,"stage":"cancelled","reason":"cancelled by the overseer","attempt":0,"failures":0,"losses":0,"not_before":null,"conflict":null,"feedback":[],"created_at":"2026-11-29T10:19:29.338Z","updated_at":"2026-11-29T10:19:29.343Z"}');
INSERT INTO "items" VALUES(3,'web','task','ready',NULL,1795945769348,'{"id":3,"repo":"web","kind":"task","title":"needs a cancelled one","description":"","acceptance":[],"priority":"medium","labels":[],"requires":{},"parent":null,"needs":[1,2],"run":null,"stage":"ready","attempt":0,"failures":0,"losses":0,"not_before":null,"conflict":null,"feedback":[],"created_at":"2026-11-29T10:19:29.348Z","updated_at":"2026-11-29T10:20:02.334Z"}');
INSERT INTO "items" VALUES(4,'web','feature','done',NULL,1795945769367,'{"id":4,"repo":"web","kind":"feature","title":"a feature","description":"","acceptance":[],"priority":"medium","labels":[],"requires":{},"parent":null,"needs":[],"run":null,"stage":"done","commit":null,"attempt":0,"failures":0,"losses":0,"not_before":null,"conflict":null,"feedback":[],"created_at":"2026-11-29T10:19:29.367Z","updated_at":"2026-11-29T10:19:29.594Z"}');
INSERT INTO "items" VALUES(5,'web','task','done',4,1795945769374,'{"id":5,"repo":"web","kind":"task","title":"its part","description":"","acceptance":[],"priority":"medium","labels":[],"requires":{},"parent":4,"needs":[],"run":null,"stage":"done","commit":"8f8d603876cda822f88d15add5cb5a0cee469a25","attempt":1,"failures":0,"losses":0,"not_before":null,"conflict":null,"feedback":[],"created_at":"2026-11-29T10:19:29.374Z","updated_at":"2026-11-29T10:19:29.593Z"}');
INSERT INTO "items" VALUES(6,'web','task','in_progress',NULL,1795945769599,'{"id":6,"repo":"web","kind":"task","title":"long","description":"","acceptance":[],"priority":"medium","labels":[],"requires":{},"parent":null,"needs":[],"run":"sleep 3000","stage":"in_progress","lease":{"worker":5,"outpost":"here"},"attempt":1,"failures":0,"losses":0,"not_before":null,"conflict":null,"feedback":[],"created_at":"2026-11-29T10:19:29.599Z","updated_at":"2026-11-29T10:19:29.600Z"}');
INSERT INTO "items" VALUES(7,'web','task','ready',NULL,1795945770606,'{"id":7,"repo":"web","kind":"task","title":"waits","description":"","acceptance":[],"priority":"medium","labels":[],"requires":{},"parent":null,"needs":[],"run":null,"stage":"ready","attempt":0,"failures":0,"losses":0,"not_before":null,"conflict":null,"feedback":[],"created_at":"2026-11-29T10:19:30.606Z","updated_at":"2026-11-29T10:19:30.606Z"}');
CREATE TABLE needs (
  item bigint not null,
  need bigint not null,
  primary key (item, need)
);
INSERT INTO "needs" VALUES(3,1);
INSERT INTO "needs" VALUES(3,2);
CREATE TABLE outposts (
  name text primary key,
  body text not null
);
INSERT INTO "outposts" VALUES('here','{"name":"here","key":"171b14068f08da50f7d5f3f2241b4de207fd95fe3752d28972044184cfa8383b","labels":{"sandbox":"landlock-abi7+namespace"},"max_workers":1,"state":"offline","version":"0.1.0","draining":false,"paused":null,"disconnect_grace":null,"joined_at":"2026-11-29T10:19:26.909Z","last_seen":"2026-11-29T10:20:03.339Z"}');
CREATE TABLE repos (
  name text primary key,
  body text not null
);
INSERT INTO "repos" VALUES('web','{"name":"web","url":"/srv/sample/up","branch":"main","run":{"developer":"echo $SPRINT_ITEM > f$SPRINT_ITEM; git add -A; git commit -qm work"},"runtimes":{},"gates":[{"name":"test","run":"true","timeout":"30m","retries":0,"stage":1,"needs":[],"report":[],"require":[]}],"max_attempts":3,"limits":{},"halted":null,"frozen":null,"resume":"clean","max_duration":"2h","hung_after":"5m","pushing":{"from":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","to":"8f8d603876cda822f88d15add5cb5a0cee469a25"},"created_at":"2026-11-29T10:19:28.924Z"}');
CREATE TABLE "sequences" (
  name text primary key,
  next bigint not null
);
CREATE TABLE tokens (
  id text primary key,
  body text not null
);
INSERT INTO "tokens" VALUES('469c50ad','{"id":"469c50ad","proof":{"key":"5c0ee85dce94ce10d20788562424e2b9b0299c865c219ab14c76fc4f5ef28645"},"grant":{"grants":"access","role":"admin","name":"local"},"expires_at":"2046-11-24T10:19:24.882Z","created_at":"2026-11-29T10:19:24.882Z","created_by":"coordinator","revoked_at":null}');
INSERT INTO "tokens" VALUES('012ffbe4','{"id":"012ffbe4","proof":{"secret":"e9fd0fb6cbde746b2c6bad2902d6b67d98e45dd74b201e54075cc42b262673b5"},"grant":{"grants":"join","uses":1,"used":1,"name_prefix":""},"expires_at":"2026-11-29T11:19:26.868Z","created_at":"2026-11-29T10:19:26.868Z","created_by":"admin/local","revoked_at":null}');
CREATE TABLE trials (
  id bigint primary key,
  repo text not null,
  tree text not null,
  state text not null,
  -- 1 when it cannot matter any more.
  retired bigint not null,
  body text not null
);
INSERT INTO "trials" VALUES(1,'web','5a41f87d4140718649de0f03d8d75e5b3b25d0d5','passed',1,'{"id":1,"repo":"web","purpose":"queue","members":[{"change":1,"item":1,"attempt":1,"head":"565ee1a22151935882321554e6de8da37383706e"}],"commit":"eeda267998daf0fb98f8986989571158d5e8fec2","tree":"5a41f87d4140718649de0f03d8d75e5b3b25d0d5","base":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","gates":[{"name":"test","run":"true","timeout":"30m","retries":0,"stage":1,"needs":[],"report":[],"require":[]}],"runs":[{"gate":{"name":"test","run":"true","timeout":"30m","retries":0,"stage":1,"needs":[],"report":[],"require":[]},"run":"passed","failures":0,"losses":0,"excuses":0,"avoid":[],"flaky":false,"verdict":{"gate":"test","outcome":"passed","reason":"","metrics":{},"findings":[],"duration_ms":4}}],"state":"passed","confirming":false,"same_as":null,"retired":true,"created_at":"2026-11-29T10:19:29.231Z","updated_at":"2026-11-29T10:19:29.332Z"}');
INSERT INTO "trials" VALUES(2,'web','a1c5bdcc69c812db73273dd91a1fd28fab037bd8','passed',1,'{"id":2,"repo":"web","purpose":"queue","members":[{"change":2,"item":5,"attempt":1,"head":"8d0714ea40011dbfd8484591bd92db90b340d3cd"}],"commit":"8f8d603876cda822f88d15add5cb5a0cee469a25","tree":"a1c5bdcc69c812db73273dd91a1fd28fab037bd8","base":"eeda267998daf0fb98f8986989571158d5e8fec2","gates":[{"name":"test","run":"true","timeout":"30m","retries":0,"stage":1,"needs":[],"report":[],"require":[]}],"runs":[{"gate":{"name":"test","run":"true","timeout":"30m","retries":0,"stage":1,"needs":[],"report":[],"require":[]},"run":"passed","failures":0,"losses":0,"excuses":0,"avoid":[],"flaky":false,"verdict":{"gate":"test","outcome":"passed","reason":"","metrics":{},"findings":[],"duration_ms":2}}],"state":"passed","confirming":false,"same_as":null,"retired":true,"created_at":"2026-11-29T10:19:29.498Z","updated_at":"2026-11-29T10:19:29.593Z"}');
CREATE TABLE "workers" (
  id bigint primary key,
  item bigint,
  repo text not null,
  role text not null,
  outpost text not null,
  state text not null,
  -- 1 while it holds a slot.
  live bigint not null,
  body text not null
);
INSERT INTO "workers" VALUES(1,1,'web','developer','here','done',0,'{"id":1,"repo":"web","job":{"kind":"attempt","item":1,"attempt":1,"role":"developer"},"outpost":"here","state":"done","exit_code":0,"base":"ae21c61b8a8d17957d09476971e0aac4a818e2c2","resumed":null,"stop_reason":null,"terminal":null,"assigned_at":"2026-11-29T10:19:28.933Z","started_at":"2026-11-29T10:19:29.088Z","ended_at":"2026-11-29T10:19:29.213Z","report_seq":4,"log_bytes":0}');
INSERT INTO "workers" VALUES(2,NULL,'web','gate','here','done',0,'{"id":2,"repo":"web","job":{"kind":"gate","trial":1,"gate":"test"},"outpost":"here","state":"done","exit_code":0,"base":"eeda267998daf0fb98f8986989571158d5e8fec2","resumed":null,"stop_reason":null,"terminal":null,"assigned_at":"2026-11-29T10:19:29.231Z","started_at":"2026-11-29T10:19:29.312Z","ended_at":"2026-11-29T10:19:29.322Z","report_seq":4,"log_bytes":0}');
INSERT INTO "workers" VALUES(3,5,'web','developer','here','done',0,'{"id":3,"repo":"web","job":{"kind":"attempt","item":5,"attempt":1,"role":"developer"},"outpost":"here","state":"done","exit_code":0,"base":"eeda267998daf0fb98f8986989571158d5e8fec2","resumed":null,"stop_reason":null,"terminal":null,"assigned_at":"2026-11-29T10:19:29.379Z","started_at":"2026-11-29T10:19:29.390Z","ended_at":"2026-11-29T10:19:29.486Z","report_seq":4,"log_bytes":0}');
INSERT INTO "workers" VALUES(4,NULL,'web','gate','here','done',0,'{"id":4,"repo":"web","job":{"kind":"gate","trial":2,"gate":"test"},"outpost":"here","state":"done","exit_code":0,"base":"8f8d603876cda822f88d15add5cb5a0cee469a25","resumed":null,"stop_reason":null,"terminal":null,"assigned_at":"2026-11-29T10:19:29.499Z","started_at":"2026-11-29T10:19:29.579Z","ended_at":"2026-11-29T10:19:29.582Z","report_seq":4,"log_bytes":0}');
INSERT INTO "workers" VALUES(5,6,'web','developer','here','running',1,'{"id":5,"repo":"web","job":{"kind":"attempt","item":6,"attempt":1,"role":"developer"},"outpost":"here","state":"running","base":"8f8d603876cda822f88d15add5cb5a0cee469a25","resumed":null,"stop_reason":null,"terminal":{"boot_id":"1b46bc20-cc84-4025-b561-b8b3e72260f4","tmux_socket":"/srv/sample/op/tmux.sock","tmux_session":"w5"},"assigned_at":"2026-11-29T10:19:29.600Z","started_at":"2026-11-29T10:19:29.613Z","ended_at":null,"report_seq":2,"log_bytes":null}');
CREATE INDEX items_by_stage on items (stage, urgency, id);
CREATE INDEX items_by_parent on items (parent) where parent is not null;
CREATE INDEX needs_by_need on needs (need);
CREATE INDEX changes_pending on changes (repo, id) where pending = 1;
CREATE INDEX changes_by_item on changes (item);
CREATE INDEX events_by_item on events (item, seq) where item is not null;
CREATE INDEX events_audit on events (seq) where origin is not null;
CREATE INDEX trials_by_tree on trials (repo, tree);
CREATE INDEX trials_live on trials (repo, id) where retired = 0;
CREATE INDEX workers_live on workers (outpost, repo, role) where live = 1;
CREATE INDEX workers_by_item on workers (item);
COMMIT;
