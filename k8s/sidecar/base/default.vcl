vcl 4.1;

# One backend: the nginx of the same pod. 127.0.0.1, because `localhost` is ::1 first in a pod.
backend nginx {
    .host = "127.0.0.1";
    .port = "8080";
}

sub vcl_recv {
    # For the kubelet: says that varnish serves, whatever nginx does.
    if (req.url == "/.cache-health") {
        return (synth(200));
    }
}

sub vcl_deliver {
    set resp.http.X-Cache = "MISS";
    if (obj.hits > 0) {
        set resp.http.X-Cache = "HIT";
    }
}
