vcl 4.1;

backend version_1a {
    .host = "127.0.0.1";
    .port = "8080";
}
backend version_1b {
    .host = "127.0.0.1";
    .port = "8081";
}

sub vcl_recv {
    if (req.url == "/.cache-health") {
        return (synth(200));
    }
    # The splitter puts the variant's name into Host, and the built-in vcl_hash hashes Host with the URL. A request
    # that did not come through the splitter has no variant and gets no page: it could only be put in the wrong one.
    if (req.http.host == "version_1a") {
        set req.backend_hint = version_1a;
    } elsif (req.http.host == "version_1b") {
        set req.backend_hint = version_1b;
    } else {
        return (synth(421, "Misdirected Request"));
    }
    # The token has done its work: without it all tokens of one variant share one entry.
    set req.url = regsuball(req.url, "([?&])[Tt][Oo][Kk][Ee][Nn]=[^&]*", "\1");
    set req.url = regsuball(req.url, "&{2,}", "&");
    set req.url = regsub(req.url, "\?&", "?");
    set req.url = regsub(req.url, "[?&]$", "");
}

sub vcl_deliver {
    set resp.http.X-Cache = "MISS";
    if (obj.hits > 0) {
        set resp.http.X-Cache = "HIT";
    }
}
