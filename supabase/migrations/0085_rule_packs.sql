-- Rule packs: the conditions of a sale, as dated data.
set role nexus_owner;

create table public.rule_packs (
  id         uuid primary key default gen_random_uuid(),
  code       text not null,
  version    integer not null,
  title      text not null,
  summary    text not null,
  rules      jsonb not null,
  valid_from timestamptz not null,
  created_by uuid,
  created_at timestamptz not null default now(),
  constraint rule_packs_code_is_a_name check (code ~ '^[a-z][a-z0-9_]{0,49}$'),
  constraint rule_packs_version_counts_from_one check (version >= 1),
  constraint rule_packs_title_is_not_blank check (title ~ '\S' and length(title) <= 200),
  constraint rule_packs_summary_is_bounded check (summary ~ '\S' and length(summary) <= 2000),
  constraint rule_packs_rules_are_an_array check (jsonb_typeof(rules) = 'array' and length(rules::text) <= 50000),
  constraint rule_packs_once_a_version unique (code, version)
);
comment on table public.rule_packs is 'The conditions under which something is sold: a list of rules with parameters and sources, in versions that are never changed. An offering keeps the version it was made under. Parameters are starting points until a rule says "checked": true. Public: who is refused may look.';
comment on column public.rule_packs.id is 'Identity of the version.';
comment on column public.rule_packs.code is 'Name of the pack.';
comment on column public.rule_packs.version is 'Version of the pack, from 1.';
comment on column public.rule_packs.title is 'Name to show.';
comment on column public.rule_packs.summary is 'What it is for, in words.';
comment on column public.rule_packs.rules is 'The rules: {"rule": name, its parameters, "source": the law, "checked": whether somebody competent has}. Names and parameters are those of mint_core::rule_pack.';
comment on column public.rule_packs.valid_from is 'From when offerings may be made under it.';
comment on column public.rule_packs.created_by is 'The admin who published it; null for those that come with the program.';
comment on column public.rule_packs.created_at is 'When it was recorded.';
create index rule_packs_created_by_idx on public.rule_packs (created_by);

create trigger rule_packs_are_append_only before update or delete or truncate on public.rule_packs
  for each statement execute function nexus.refuse_change();
select nexus.audit_table('public.rule_packs');

alter table public.rule_packs enable row level security;
grant select on public.rule_packs to anon, authenticated, service_role, nexus_engine;
grant insert on public.rule_packs to nexus_engine;
create policy rule_packs_read_all on public.rule_packs for select to anon, authenticated using (true);
create policy rule_packs_engine on public.rule_packs for all to nexus_engine using (true) with check (true);

insert into public.rule_packs (code, version, title, summary, rules, valid_from) values
  ('open', 1, 'Open (tests and simulation)', 'No conditions. For tests and simulated offerings, never for a live one.', '[]', '2000-01-01T00:00:00Z'),
  ('simulated_standard', 1, 'Standard (simulation)', 'What a cautious platform asks everywhere: a verified identity, a clear screening, a day to withdraw, and an early close that is announced. For simulated offerings.',
   '[{"rule": "identity_verified", "source": "platform policy: know your customer"},
     {"rule": "screening_clear", "source": "platform policy: sanctions screening"},
     {"rule": "cooling_off", "days": 1, "source": "platform policy"},
     {"rule": "insiders_do_not_count", "source": "platform policy: insiders may not fake a contingent offering"},
     {"rule": "early_close", "notice_hours": 24, "source": "platform policy"}]', '2000-01-01T00:00:00Z'),
  ('reg_d_506c', 1, 'United States, Regulation D Rule 506(c)', 'General solicitation to verified accredited investors; resale restricted for twelve months; at most 2,000 holders.',
   '[{"rule": "identity_verified", "source": "31 CFR 1020.220 (customer identification)"},
     {"rule": "screening_clear", "source": "31 CFR chapter V (OFAC)"},
     {"rule": "accredited", "source": "17 CFR 230.506(c)(2)"},
     {"rule": "resale_restricted", "days": 365, "source": "17 CFR 230.144(d)(1)(ii)"},
     {"rule": "holder_cap", "parties": 2000, "source": "15 USC 78l(g)(1)(A)"},
     {"rule": "non_accredited_holder_cap", "parties": 500, "source": "15 USC 78l(g)(1)(A)"},
     {"rule": "insiders_do_not_count", "source": "17 CFR 240.10b-9 (contingent offerings)"}]', '2000-01-01T00:00:00Z'),
  ('reg_s', 1, 'Outside the United States, Regulation S', 'Buyers outside the United States; resale restricted for the distribution compliance period.',
   '[{"rule": "identity_verified", "source": "platform policy: know your customer"},
     {"rule": "screening_clear", "source": "31 CFR chapter V (OFAC)"},
     {"rule": "residency_not_in", "countries": ["US"], "source": "17 CFR 230.903(a)"},
     {"rule": "resale_restricted", "days": 365, "source": "17 CFR 230.903(b)(3)"},
     {"rule": "insiders_do_not_count", "source": "17 CFR 240.10b-9 (contingent offerings)"}]', '2000-01-01T00:00:00Z'),
  ('eu_ecspr', 1, 'European Union, crowdfunding regulation (ECSPR)', 'At most 5 million EUR in twelve months; four days of reflection; an entry test and a warning for non-sophisticated investors.',
   '[{"rule": "identity_verified", "source": "Directive (EU) 2015/849"},
     {"rule": "screening_clear", "source": "Regulation (EU) 2020/1503 Art. 5"},
     {"rule": "entry_test_passed", "source": "Regulation (EU) 2020/1503 Art. 21"},
     {"rule": "warning_above", "amount_minor": 100000, "currency": "EUR", "net_worth_ppm": 50000, "source": "Regulation (EU) 2020/1503 Art. 21(7)"},
     {"rule": "cooling_off", "days": 4, "source": "Regulation (EU) 2020/1503 Art. 22"},
     {"rule": "issuer_yearly_limit", "amount_minor": 500000000, "currency": "EUR", "source": "Regulation (EU) 2020/1503 Art. 1(2)(c)"},
     {"rule": "insiders_do_not_count", "source": "Regulation (EU) 2020/1503 Art. 8"}]', '2000-01-01T00:00:00Z'),
  ('dubai_vara_dld', 1, 'Dubai, VARA and Land Department', 'AED 2,000 at least; a verified identity; client money apart.',
   '[{"rule": "identity_verified", "source": "VARA Compliance and Risk Management Rulebook"},
     {"rule": "screening_clear", "source": "UAE Federal Decree-Law 20 of 2018"},
     {"rule": "minimum_investment", "amount_minor": 200000, "currency": "AED", "source": "Dubai Land Department, real estate tokenization pilot"},
     {"rule": "insiders_do_not_count", "source": "VARA Market Conduct Rulebook"}]', '2000-01-01T00:00:00Z');

reset role;

alter table public.rule_packs add constraint rule_packs_created_by_fkey
  foreign key (created_by) references auth.users (id) on delete restrict;
