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

## Signing up and in

sign-in-title = Sign in
sign-in-forgot = I forgot my password
sign-in-mail-title = Without a password
sign-in-mail-text = We send a link and a code to your address. Either signs you in, once.
sign-in-mail-send = Send a link
sign-in-new = New here?
sign-up-text = An account is for looking and saving your place. Before you buy, we verify who you are.
sign-up-known = Already have an account?
sign-up-closed = Nobody can sign up here by themselves. Ask the operator for an invitation.
field-name = Name
field-display-name = Name to show
field-phone = Telephone
field-password = Password
field-password-hint = 6 characters or more. A sentence is best.
field-password-now = Present password
field-password-now-hint = Leave it empty if you just signed in, or have none yet.
field-password-new = New password
field-code = Code of six digits
second-title = Second factor
second-text = Enter the code that your authenticator shows now.
second-go-on = Go on
second-other = Sign in as somebody else
code-title = Look into your mail
code-text = We sent a link and a code to
code-developer = This server sends no mail; what it would have sent is at
code-again = Send it once more, or to another address
recover-title = Back into your account
recover-text = We send a link and a code to your address. Once you are in, you choose another password.
recover-send = Send the link
auth-invalid-credentials = This address and password do not fit together. Check both, or have a link sent to you.
auth-email-not-confirmed = The address was not confirmed yet. Follow the link in our mail, or have another one sent.
auth-otp-expired = This code or link is wrong, was used, or is too old. Have another one sent, and open it in the same browser.
auth-over-request-rate-limit = There were too many tries. Wait a few minutes.
auth-over-email-send-rate-limit = A mail was sent a moment ago. Look into your mail, or wait a minute.
auth-mfa-verification-failed = This code is not the one that your authenticator shows now. Check the time of your telephone.
auth-weak-password = The password is too short: 6 characters or more.
auth-same-password = The new password is the old one. Choose another.
auth-current-password-invalid = The present password is not right.
auth-reauthentication-needed = You signed in long ago. Enter your present password as well, or sign in again.
auth-user-already-exists = Somebody has an account with this address already. Sign in instead.
auth-validation-failed = Something in the form does not fit: an address such as ada@example.com, and a password of 6 to 72 characters.
auth-signup-disabled = Nobody can sign up here by themselves.

## Account

account-title = Account
account-profile = Profile
account-save = Save
account-verification = Identity
account-to-verification = To the verification
account-password = Password
account-set-password = Set password
account-factor = Second factor
account-sessions = Where you are signed in
account-done-profile = Your profile is saved.
account-done-password = Your password is set. Every other session has ended.
account-done-factor = The second factor is on. From now on you need it to sign in.
account-done-factor-removed = The second factor is off.
account-done-sessions = Every other session has ended.
factor-none = An authenticator on your telephone shows a code that is asked for beside your password.
factor-add = Add an authenticator
factor-on = On
factor-remove = Turn it off
factor-scan = Scan this picture with your authenticator:
factor-picture = QR code for your authenticator
factor-secret = Or type this secret into it:
factor-turn-on = Turn it on
session-seen = last seen
session-this = this one
session-end-others = End all others

## Notifications

notices-title = Notifications
notices-new = New
notices-read-all = Mark all as read
notices-empty = Nothing to tell you yet
notices-empty-text = When something of yours changes, a purchase, a verification, a payment, it is told here.

## Verification

verify-title = Verify your identity
verify-lead = The law asks us to know who buys. A compliance officer looks at what you submit; nobody else does.
verify-steps = Steps
verify-step-documents = Documents
verify-step-details = Details
verify-step-decision = Decision
verify-documents-text = One document with your photograph. For the enhanced level, a second one, such as a proof of address.
verify-filed = Filed
verify-kind = Kind of document
verify-file = File
verify-file-hint = PDF, JPEG, PNG or WebP, at most 20 MB.
verify-upload = Upload
upload-progress = Uploading
verify-level = Level
level-basic = Basic: one document
level-enhanced = Enhanced: source of the money, and a second document
verify-which = Documents to submit
verify-submit = Submit
verify-approved = Your identity is verified.
verify-until = It counts until
verify-next = See what is on offer
verify-waiting = Your verification is under way.
verify-submitted = Submitted
verify-waiting-text = You need not wait here: a notification tells you when it is decided.
verify-withdraw = Withdraw what I submitted
verify-rejected = Your verification was refused.
verify-rejected-text = You can file documents anew and submit again.
verify-expired = Your verification has expired. Submit again to go on buying.
field-legal-name = Full legal name
field-legal-name-hint = As the document has it.
field-born-on = Date of birth
field-country = Country of residence
field-country-hint = Two letters, such as US, GB, AE.
field-address = Address
field-source-of-funds = Source of the money
field-source-of-funds-hint = Such as salary, sale of a house, inheritance.

## Buying

buy-title = Buy tokens
buy-may = May you buy?
buy-may-yes = Yes
buy-may-not = Not now
buy-rules = The rules of this offering:
buy-verify = Verify your identity
buy-back = Back to the property
buy-how = How it goes on
buy-how-reserve = You reserve tokens at the price shown. It is locked.
buy-how-pay = You pay. The money lies in escrow and is nobody's until the close.
buy-how-withdraw = While the right to withdraw lasts, you can take it back, fee included.
buy-how-close = The offering closes, and the tokens are yours; or it fails, and you are paid back.
buy-how-many = How many?
buy-tokens = Tokens
buy-price = Price of a token
buy-total = Tokens together
buy-charge = You pay
buy-reserved-for = { $minutes ->
    [one] The reservation holds for 1 minute.
   *[other] The reservation holds for { $minutes } minutes.
  }
buy-cooling = { $count ->
    [0] There is no right to withdraw after paying.
    [one] You may withdraw for 1 day after paying.
   *[other] You may withdraw for { $count } days after paying.
  }
buy-warning = I have understood that I may lose this money, and that it is a large part of what I have.
buy-reserve = Reserve and pay
buy-compute = Compute the cost
buy-fine = The price and the fee are the server's. Nothing is charged before you pay on the next page.

investment-title = Purchase
investment-receipt = Receipt
investment-tokens = Tokens
investment-course = Course
investment-pending = These tokens are reserved for you.
investment-due = Pay before
investment-pay = Pay
investment-cancel = Give the reservation up
investment-paid = Paid. Your money lies in escrow.
investment-paid-text = When the offering closes, the tokens are yours. If it fails, all of it comes back, fee included.
investment-withdraw-until = You may withdraw before
investment-withdraw = Withdraw, and be paid back
investment-confirmed = The offering has closed. The tokens are yours.
investment-confirmed-text = They stand in the register, and rent is paid to whoever holds them at the record date.
investment-refund-text = What you paid goes back the way it came. It counts as refunded once the payment provider confirms it.
investment-over = This reservation is over.
investment-again = Back to the property
course-reserved = Reserved
course-paid = Paid into escrow
course-closed = Closed, tokens held
course-waits = still to come

## Portfolio

portfolio-lead = What you hold, what it cost, and what it paid.
portfolio-empty = You hold nothing yet
portfolio-empty-text = Choose a property that is on offer. What you buy stands here from the reservation on.
portfolio-value = Value
portfolio-value-note = at the newest price of a token; a price is no valuation
portfolio-cost = Cost
portfolio-cost-note = fees included
portfolio-income = Income
portfolio-income-note = paid to you, after tax withheld
portfolio-holdings = Holdings
portfolio-none-held = No tokens are yours yet
portfolio-none-held-text = They are once an offering in which you bought has closed.
portfolio-next = Declared, and not paid yet
portfolio-record = Record date
portfolio-income-chart = Income by month, { $currency }
portfolio-no-income = No rent was paid to you yet
portfolio-no-income-text = Each distribution of a property that you hold appears here with its day.
portfolio-purchases = Purchases
portfolio-lots = Lots
portfolio-lots-text = Each purchase or transfer left a lot, with its cost and its dates. Tax offices ask for them.
portfolio-statements = Statements
portfolio-statements-text = Each re-adds to the ledger, and is the same for ever.
portfolio-statement = Statement { $year } (PDF)
column-property = Property
column-tokens = Tokens
column-state = State
lot-acquired = Acquired
lot-restricted = Restricted until
lot-free = not restricted
state-declared = Declared
state-paying = Being paid
state-proposed = Proposed
