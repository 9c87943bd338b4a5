-- sqlite only
-- A key that is the rowid needs no index of its own: each insert writes a page less. SQLite takes only `integer
-- primary key` for that; on PostgreSQL the keys stay `bigint`.

create table items_by_rowid (
  id integer primary key,
  repo text not null,
  kind text not null,
  stage text not null,
  parent bigint,
  body text not null
);
insert into items_by_rowid (id, repo, kind, stage, parent, body)
  select id, repo, kind, stage, parent, body from items order by id;
drop table items;
alter table items_by_rowid rename to items;
create index items_by_parent on items (parent) where parent is not null;

create table workers_by_rowid (
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
insert into workers_by_rowid (id, item, repo, role, outpost, state, live, body)
  select id, item, repo, role, outpost, state, live, body from workers order by id;
drop table workers;
alter table workers_by_rowid rename to workers;
create index workers_live on workers (outpost, repo, role) where live = 1;
create index workers_by_item on workers (item);

create table changes_by_rowid (
  id integer primary key,
  repo text not null,
  item bigint not null,
  state text not null,
  -- 1 while it is in the queue.
  pending bigint not null,
  body text not null
);
insert into changes_by_rowid (id, repo, item, state, pending, body)
  select id, repo, item, state, pending, body from changes order by id;
drop table changes;
alter table changes_by_rowid rename to changes;
create index changes_pending on changes (repo, id) where pending = 1;
create index changes_by_item on changes (item);

create table trials_by_rowid (
  id integer primary key,
  repo text not null,
  tree text not null,
  state text not null,
  -- 1 when it cannot matter any more.
  retired bigint not null,
  body text not null
);
insert into trials_by_rowid (id, repo, tree, state, retired, body)
  select id, repo, tree, state, retired, body from trials order by id;
drop table trials;
alter table trials_by_rowid rename to trials;
create index trials_by_tree on trials (repo, tree);
create index trials_live on trials (repo, id) where retired = 0;

create table events_by_rowid (
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
insert into events_by_rowid (seq, time_ms, kind, repo, item, actor, data, origin)
  select seq, time_ms, kind, repo, item, actor, data, origin from events order by seq;
drop table events;
alter table events_by_rowid rename to events;
create index events_by_item on events (item, seq) where item is not null;
create index events_audit on events (seq) where origin is not null;
