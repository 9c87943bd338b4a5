-- What lets outposts join and people in. A token's secret is kept as its hash only.
create table tokens (
  id text primary key,
  body text not null
);

-- The address that an act came from; present where the event is part of the audit.
alter table events add column origin text;
create index events_audit on events (seq) where origin is not null;
