-- What each attempt leaves for the next, in its worker's words.
create table hand_offs (
  -- The item's number, '-' and the attempt's.
  id text primary key,
  item bigint not null,
  attempt bigint not null,
  body text not null
);
create index hand_offs_by_item on hand_offs (item, attempt);
-- What workers need and nobody else is to see; the texts are encrypted.
create table secrets (
  -- The name, with '@' and the scope where it has one.
  id text primary key,
  body text not null
);
