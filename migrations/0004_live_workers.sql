-- Which workers their outposts must be told of is kept in memory.
drop index workers_pending;
alter table workers drop column pending;
