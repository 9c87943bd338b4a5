-- What workers need and nobody else is to see; the texts are encrypted.
create table secrets (
  -- The name, with '@' and the scope where it has one.
  id text primary key,
  body text not null
);
