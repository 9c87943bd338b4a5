-- What waits is found in memory. What only searches for it read is not written any more.
drop index items_by_stage;
alter table items drop column urgency;
drop table needs;
