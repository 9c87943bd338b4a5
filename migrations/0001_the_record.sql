-- The same text runs on SQLite and on PostgreSQL. A row holds its entity as JSON
-- in `body`; the other columns repeat what is searched by, and are written with it.

create table repos (
  name text primary key,
  body text not null
);

create table items (
  id bigint primary key,
  repo text not null,
  kind text not null,
  stage text not null,
  parent bigint,
  -- sprint_core::schedule::urgency: smaller goes first.
  urgency bigint not null,
  body text not null
);
create index items_by_stage on items (stage, urgency, id);
create index items_by_parent on items (parent) where parent is not null;

-- One row for each need of an item.
create table needs (
  item bigint not null,
  need bigint not null,
  primary key (item, need)
);
create index needs_by_need on needs (need);

create table workers (
  id bigint primary key,
  item bigint not null,
  repo text not null,
  role text not null,
  outpost text not null,
  state text not null,
  -- 1 while it holds a slot.
  live bigint not null,
  -- 1 while its outpost must be told something: an assignment or a stop.
  pending bigint not null,
  body text not null
);
create index workers_live on workers (outpost, repo, role) where live = 1;
create index workers_pending on workers (outpost) where pending = 1;
create index workers_by_item on workers (item);

create table changes (
  id bigint primary key,
  repo text not null,
  item bigint not null,
  state text not null,
  -- 1 while it is in the queue.
  pending bigint not null,
  -- Gate runs that wait for a slot.
  ungated bigint not null,
  body text not null
);
create index changes_pending on changes (repo, id) where pending = 1;
create index changes_by_item on changes (item);

create table outposts (
  name text primary key,
  body text not null
);

create table events (
  seq bigint primary key,
  time_ms bigint not null,
  kind text not null,
  repo text,
  item bigint,
  actor text not null,
  data text not null
);
create index events_by_item on events (item, seq) where item is not null;
