-- What the merge queue gates: the tip with some changes merged onto it.
create table trials (
  id bigint primary key,
  repo text not null,
  tree text not null,
  state text not null,
  -- 1 when it cannot matter any more.
  retired bigint not null,
  body text not null
);
create index trials_by_tree on trials (repo, tree);
create index trials_live on trials (repo, id) where retired = 0;

-- A change is not gated by itself any more: trials are, and wait for slots.
update changes set state = 'queued' where state = 'gating';
alter table changes drop column ungated;
