-- The least number that may be given next: a record that was restored does not know
-- which numbers were given after its backup.
create table floors (
  name text primary key,
  next bigint not null
);
