/// Two self-signed certificates for `localhost`, valid until 2125, with the keys to them; good for nothing but tests.
enum TestCertificates {
    static let first = (
        certificate: """
        -----BEGIN CERTIFICATE-----
        MIIBmjCCAUGgAwIBAgIUWuqMhbmY0v0UyJuYAUuWn4YTs8swCgYIKoZIzj0EAwIw
        FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTEwMDMyMFoYDzIxMjYxMDI4
        MTAwMzIwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
        PQMBBwNCAATGLgkDRkf+fDw2K6hEjFJC7MNXP1ED751OX087EqRe9UbHadE4MjJv
        6tC3ZJUIzQVOoiQbA/x2TY/V1jXmrwYHo28wbTAdBgNVHQ4EFgQUflARiSeDeE+y
        W/RRPeQMv+oZsk4wHwYDVR0jBBgwFoAUflARiSeDeE+yW/RRPeQMv+oZsk4wDwYD
        VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
        zj0EAwIDRwAwRAIgQdwEBDEQCUfoMiCy91flndgIsseYcmJnNFizjk5TVcoCICC+
        JtiH/U2+hr9Ej3wC0cXX9mCaOjL3D4VzE9yVszK0
        -----END CERTIFICATE-----
        """,
        key: """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQggRi32MygQF7CIMa6
        t0QtGsuITNypeOLG3jAZ7mnTjqmhRANCAATGLgkDRkf+fDw2K6hEjFJC7MNXP1ED
        751OX087EqRe9UbHadE4MjJv6tC3ZJUIzQVOoiQbA/x2TY/V1jXmrwYH
        -----END PRIVATE KEY-----
        """
    )
    static let second = (
        certificate: """
        -----BEGIN CERTIFICATE-----
        MIIBljCCATugAwIBAgIUEcCcvruvZUEApHVA9iBBmFG9Mj0wCgYIKoZIzj0EAwIw
        ETEPMA0GA1UEAwwGc2Vjb25kMCAXDTI2MTEyMTEwMDMyMFoYDzIxMjYxMDI4MTAw
        MzIwWjARMQ8wDQYDVQQDDAZzZWNvbmQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
        AAQvSLiCJP/LP/xhlyuOqFjpiiTh0817M7AdU5G3IEilZ72J5W2hLZ9Rt0myToMg
        5xVZ6EpOxBKy7RXqjc3DgslVo28wbTAdBgNVHQ4EFgQUhXahsGWyAVRtkBsYP7un
        Oyc4yAcwHwYDVR0jBBgwFoAUhXahsGWyAVRtkBsYP7unOyc4yAcwDwYDVR0TAQH/
        BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZIzj0EAwID
        SQAwRgIhAPZSYzsoocYx7My89qJPYyVfgFAKBxYvQ5V4gcljG3jKAiEA17wTWjgr
        6r8KxamWUmQ7GH7f4QcVpBeYOenShdfODJg=
        -----END CERTIFICATE-----
        """,
        key: """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg94Q1l2K39jhXsaYz
        BSYK532IbMmUIfCK5EBRy9mSrnWhRANCAAQvSLiCJP/LP/xhlyuOqFjpiiTh0817
        M7AdU5G3IEilZ72J5W2hLZ9Rt0myToMg5xVZ6EpOxBKy7RXqjc3DgslV
        -----END PRIVATE KEY-----
        """
    )
}
