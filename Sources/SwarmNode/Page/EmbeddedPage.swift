/// The page's files as the build embeds them (`page.html`, `page.css`, `page.js` beside this file).
extension PageAssets {
    package static let embedded = PageAssets(
        html: PageAsset(contentType: "text/html; charset=utf-8", bytes: PackageResources.page_html),
        style: PageAsset(contentType: "text/css; charset=utf-8", bytes: PackageResources.page_css),
        script: PageAsset(contentType: "text/javascript; charset=utf-8", bytes: PackageResources.page_js))
}
