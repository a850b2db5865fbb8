### Every text of the console, in English. One key, one text; the same keys stand in ar.ftl.

brand = Nexus Mint
skip-to-content = Skip to content
nav-main = Main
nav-menu = Menu
nav-crumbs = Where this page is
nav-properties = Properties
nav-portfolio = Portfolio
nav-managing = My properties
nav-compliance = Compliance
nav-administration = Administration
nav-account = Account
nav-sign-in = Sign in
nav-sign-up = Create account
nav-sign-out = Sign out
nav-notices = { $count ->
    [0] Notifications
    [one] Notifications, 1 unread
   *[other] Notifications, { $count } unread
  }
footer-about = Shares in buildings, kept in a register that always adds up. Past income is no promise of future income.
footer-language = Language
footer-theme = Appearance
footer-not-reviewed = The Arabic texts have not been reviewed by a native reader yet.
theme-device = Device
theme-light = Light
theme-dark = Dark

tone-plain = Note
tone-good = Done
tone-wait = Waiting
tone-stop = Problem
form-optional = (optional)
chart-table = Show as a table
chart-period = Period
chart-rent = Rent received
chart-net = Net income
chart-income = Income by period
chart-nothing = No figures yet
chart-said = { $title }: { $count ->
    [one] one period
   *[other] { $count } periods
  }; the last one, { $label }, { $amount }
figure-unknown = not known yet
figure-as-of = As of
pager-label = Pages
pager-previous = Previous page
pager-next = Next page
pager-place = Page { $page } of { $pages }

## Home

home-head = Own a share of a house
home-title = Own a share of a house, and see every figure behind it.
home-lead = Each house is divided into equal tokens. Your money stays in escrow until the sale has really closed, and every holder is paid an exact part of the rent.
home-see-properties = See the properties
home-figures = The platform today
home-offered = On offer, and sold
home-promises = What is kept true
home-promise-evidence = No deed, no sale
home-promise-evidence-text = Nothing is offered before title, insurance, appraisal and the owner's papers have been filed and accepted by a second person. Their dates are on every property's page.
home-promise-escrow = Closed, or paid back
home-promise-escrow-text = Until an offering closes, money lies in escrow and is nobody's. If the minimum is missed, everybody gets back exactly what they paid, fees included, without asking.
home-promise-rent = Rent to the last cent
home-promise-rent-text = Rent is recorded from bank lines, approved by a second person, and split among the holders so that the parts add up to the whole.
figure-listed = Properties listed
figure-offered = Offerings open now
figure-sold = Offerings closed
figure-invested = Invested, paid and confirmed
figure-rent = Rent recorded for holders
figure-holders = Holders
figure-token-yield = Yield of a token
figure-rental-yield = Rental yield

## Properties

properties-title = Properties
properties-lead = Every building on the platform, with what is known about it.
properties-results = Results
properties-counted = { $first } to { $last } of { $total }
properties-none = Nothing fits this search
properties-none-text = Take away a condition, or start again with every property.
properties-empty = No property is listed yet
properties-empty-text = Properties appear here once their owners have filed them and they are listed.
properties-past-end = This page is behind the last one
properties-past-end-text = There are fewer properties than this page would need.
properties-clear = Show every property
filter-words = Words in title or place
filter-stage = Stage
filter-kind = Kind of building
filter-sort = Order
filter-any-kind = Every kind
filter-any-stage = Every stage
filter-more = More conditions
filter-bedrooms = Bedrooms, at least
filter-area = Area in square feet, at least
filter-built = Built in or after
filter-apply = Search
sort-newest = Newest first
sort-price = Price, lowest first
sort-area = Area, largest first
sort-built = Newest building first
sort-title = Title
kind-single-family = House
kind-townhouse = Townhouse
kind-apartment = Apartment
kind-office = Office
stage-offered = Offered
stage-completed = Sold
map-label = Map of these properties
map-caption = { $count ->
    [one] One property of this page, and where the others are. North is up.
   *[other] { $count } properties of this page, and where the others are. North is up.
  }
property-bedrooms = { $count ->
    [one] 1 bedroom
   *[other] { $count } bedrooms
  }
property-area = { $area } sq ft
property-built = built { $year }
property-a-token = a token
property-no-value = No price and no valuation yet
property-about = About this property
property-aside = Offering and place
property-figures = Figures
property-gallery = Pictures
property-picture = Picture { $number } of { $title }
property-income = Income
property-no-income = No rent has been recorded
property-no-income-text = Each period's rent appears here once the manager has recorded it and a second person has approved it.
property-valuations = Valuations and sales
property-documents = Documents
property-no-documents = No document is open to you
property-no-documents-text = Documents that are for everybody, or for people whose identity is verified, are listed here.
property-facts = The building
fact-address = Address
fact-kind = Kind
fact-bedrooms = Bedrooms
fact-bathrooms = Bathrooms
fact-area = Living area
fact-lot = Plot
fact-built = Built
fact-amenities = Amenities
column-date = Date
column-amount = Amount
column-basis = Basis
column-source = Source
basis-sale = Sale
basis-appraisal = Appraisal
basis-index = Index
basis-owner = Stated by the owner
evidence-title = Evidence
evidence-text = What the law of the platform asks for before anything is offered. Only what a second person has accepted counts.
evidence-issued = issued
evidence-accepted = accepted
evidence-until = current until
requirement-title = Title
requirement-insurance = Insurance
requirement-appraisal = Appraisal
requirement-entity-papers = Owner's papers
document-deed = Deed
document-title-search = Title search
document-lien-status = Liens
document-tax-status = Taxes
document-insurance = Insurance
document-permit = Permit
document-appraisal = Appraisal
document-entity-papers = Entity papers
document-lease = Lease
document-inspection = Inspection
document-passport = Passport
document-national-id = Identity card
document-driving-licence = Driving licence
document-proof-of-address = Proof of address
document-other = Other

offering-progress-label = How much of the offering is paid
offering-progress = { $percent } % paid: { $invested } of { $whole }
offer-title = Offering
offer-simulated = Simulated: no real money
offer-investors = { $count ->
    [0] Nobody has invested yet
    [one] 1 investor
   *[other] { $count } investors
  }
offer-price = Price of a token
offer-minimum = Least tokens at once
offer-soft-cap = Needed to close
offer-hard-cap = Sold at most
offer-fee = Fee on top
offer-cooling = Right to withdraw
offer-days = { $count ->
    [0] none
    [one] 1 day after paying
   *[other] { $count } days after paying
  }
offer-opens = Opens
offer-closes = Ends
offer-rules = Rules
offer-buy = Buy tokens
offer-you-hold = You hold { $tokens } tokens of it.
offer-none = Not on offer
offer-none-text = No tokens of this property are for sale, and none were.
offer-not-now = Tokens cannot be bought at this moment.
offer-over-funded = The sale has ended and waits for its close.
offer-over-closed = The sale has closed; its tokens are held.
offer-over-failed = The sale missed its minimum. Everybody was paid back.
risks-title = Risks
risk-value = The house can lose value
risk-value-text = A price paid today says nothing about the price tomorrow. You can lose part or all of what you invest.
risk-rent = Rent can fail
risk-rent-text = Empty months, repairs, taxes and insurance lower what is paid out, down to nothing.
risk-sell = Tokens may be hard to sell
risk-sell-text = There is no market that must take them, and the rules of an offering may restrict their sale for a time.
risk-fail = The sale can fail
risk-fail-text = If the minimum is missed, or the evidence does not hold at the close, you are paid back and hold nothing.
risk-advice = This is no advice
risk-advice-text = The platform gives no investment, legal or tax advice. Ask somebody who knows your affairs.

state-draft = Draft
state-open = Open
state-funded = Funded
state-closed = Closed
state-failed = Failed
state-cancelled = Cancelled
state-pending = Pending
state-paid = Paid
state-confirmed = Confirmed
state-expired = Expired
state-refund-due = Refund due
state-refunded = Refunded
state-current = Current
state-expires-soon = Ends soon
state-missing = Not filed
state-submitted = Submitted
state-in-review = In review
state-in-progress = In progress
state-approved = Approved
state-accepted = Accepted
state-rejected = Rejected
state-revoked = Revoked
state-completed = Completed
state-not-required = Not required
state-not-started = Not started
state-offered = Offered

## Design

design-title = Design
design-lead = Every piece that the pages are made of. Change the appearance or the language below, and look again.
design-colours = Colours
design-type = Type
design-figures = Figures
design-buttons = Buttons
design-states = States and messages
design-fields = Fields
design-progress = Progress
design-chart = Chart
design-empty = Nothing here yet
design-example = example
design-button-main = Main action
design-button-second = Second action
design-button-quiet = Quiet action
design-button-danger = Cannot be undone
design-alert-plain = Something to know before reading on.
design-alert-good = It was done, and here is where to see it.
design-alert-wait = Somebody else must act first.
design-alert-stop = It was refused, and here is what would make it pass.
design-figure-total = 1,850 tokens at USD 53.59
design-figure-fee = Fee of 2 %
design-figure-charge = Charge
design-figure-tokens = Tokens
design-figure-dinar = Three decimals
design-check = I understand what this means.
field-email = E-mail address
field-email-hint = Where we send links and codes.

## Problems

fault-home = To the first page
fault-remedy = What helps:
fault-why = What was looked at
fault-rule = Rule
fault-not-found = There is nothing here
fault-not-found-text = The address is wrong, or what was here is not for you to see.
fault-method = This address takes something else
fault-method-text = Go back and use the page's own buttons.
fault-too-large = This is too large
fault-too-large-text = Send a smaller file: a document may have 50 MB at most.
fault-timeout = This took too long
fault-timeout-text = Nothing was changed by halves. Wait a moment and try again.
fault-unavailable = The service cannot be reached
fault-unavailable-text = The database is starting, stopping or too busy. Try again in a minute.
fault-busy = Too many people are doing this
fault-busy-text = Nothing was begun. Try again in a moment.
fault-sign-in = Sign in first
fault-sign-in-text = Your session has ended. Sign in and do it again; nothing was changed.
fault-not-permitted = This is not yours to do
fault-not-permitted-text = It is for
fault-invalid = Something does not fit
fault-key-reused = This form was sent before with other content
fault-key-reused-text = Open the page anew and send it once more.
fault-refused = A rule says no
fault-not-available = This cannot be done here
fault-not-available-text = The platform knows it, and it is not built yet.
fault-auth = That did not work
fault-internal = Something went wrong on our side
fault-internal-text = It was noted. Nothing was changed by halves; try again later.
