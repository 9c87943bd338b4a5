-- A worker on a gate is on no item.
create table workers_with_jobs (
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
insert into workers_with_jobs (id, item, repo, role, outpost, state, live, body)
  select id, case when role = 'gate' then null else item end, repo, role, outpost, state, live, body from workers;
drop table workers;
alter table workers_with_jobs rename to workers;
create index workers_live on workers (outpost, repo, role) where live = 1;
create index workers_by_item on workers (item);
