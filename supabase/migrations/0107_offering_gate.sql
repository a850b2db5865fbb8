-- Closing rests on a pass of the evidence gate: of this offering's property, and for a close.
set role nexus_owner;

alter table public.offerings add constraint offerings_close_pass_fkey foreign key (close_pass_id, property_id, close_action)
  references public.gate_passes (id, property_id, action) on delete restrict;

reset role;
