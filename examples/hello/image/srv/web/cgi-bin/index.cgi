#!/bin/sh
# The page. Every request asks the other service, by its name on the Project's network.
escape() { sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g'; }

if answer=$(timeout 3 wget -q -O - "http://greeter:8080/"); then
  greeting=$(printf '%s\n' "$answer" | sed -n 1p | escape)
  greeter=$(printf '%s\n' "$answer" | sed -n 2p | escape)
  status='200 OK'
else
  greeting='The greeter does not answer'
  greeter='nobody'
  status='502 Bad Gateway'
fi

printf 'Status: %s\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n\r\n' "$status"
cat <<HTML
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hello from Caravanserai</title>
<style>
  :root { color-scheme: light dark; --sky: #fdf3e3; --ink: #3b2a1a; --card: #fffaf2; --sand: #d9a066; --dim: #8a6f55; }
  @media (prefers-color-scheme: dark) { :root { --sky: #1d1a2b; --ink: #f3e6d3; --card: #292438; --dim: #b09a86; } }
  * { box-sizing: border-box; margin: 0; }
  body { min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--sky); color: var(--ink);
         font: 1.05rem/1.6 Georgia, "Iowan Old Style", serif; }
  main { width: min(30rem, 100%); background: var(--card); border-radius: 1.25rem; overflow: hidden; box-shadow: 0 1rem 3rem #0003; }
  svg { display: block; width: 100%; }
  div { padding: 1.75rem 2rem 2rem; }
  h1 { font-size: 1.9rem; line-height: 1.25; }
  p { color: var(--dim); margin-top: .25rem; }
  dl { display: grid; grid-template-columns: auto 1fr; gap: .4rem 1.25rem; margin-top: 1.5rem; font: .9rem/1.5 ui-monospace, Menlo, monospace; }
  dt { color: var(--dim); }
  dd { text-align: right; overflow-wrap: anywhere; }
</style>
<main>
  <svg viewBox="0 0 480 150" role="img" aria-label="A gate at the edge of the desert">
    <rect width="480" height="150" fill="#f4c27a"/><circle cx="380" cy="62" r="30" fill="#fff1cf"/>
    <path d="M0 118 Q110 76 240 112 T480 96 V150 H0Z" fill="#d9a066"/>
    <path d="M110 150 V62 h14 v-10 h12 v10 h14 v-10 h12 v10 h14 v-10 h12 v10 h14 v-10 h12 v10 h14 V150Z" fill="#8f5b34"/>
    <path d="M148 150 V112 a21 21 0 0 1 42 0 V150Z" fill="#3b2a1a"/>
    <path d="M0 138 Q150 112 300 134 T480 128 V150 H0Z" fill="#c58748"/>
  </svg>
  <div>
    <h1>$greeting</h1>
    <p>says the greeter, asked a moment ago</p>
    <dl>
      <dt>page by</dt><dd>web on $(hostname)</dd>
      <dt>greeting by</dt><dd>greeter on $greeter</dd>
      <dt>time</dt><dd>$(date -u '+%Y-%m-%d %H:%M:%S UTC')</dd>
    </dl>
  </div>
</main>
</html>
HTML
