-- The field's word for what a floor was: the least number that a sequence gives next.
alter table floors rename to sequences;
